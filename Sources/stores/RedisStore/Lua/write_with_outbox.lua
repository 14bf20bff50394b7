#!lua
-- arguments: owner history notices notices...
-- group event: place stream conversation id type queued body
-- Does what `write` does, and fills the outbox. The events follow the runs, then the bound of an
-- outbox and the number of events.
local last = #ARGV - 2 - EVENT_SIZE * ARGV[#ARGV]
-- include write_runs
-- Adds the events of the writes that were not refused. A stream of another type cannot undo the
-- write; the next scan reports it.
local refused = {}
for first = 1, #refusals, 3 do refused[refusals[first]] = true end
for event = last + 1, #ARGV - 2, EVENT_SIZE do
  if not refused[tonumber(ARGV[event + EVENT_PLACE])] then
    pcall('XADD', ARGV[event + EVENT_STREAM], 'MAXLEN', '~', ARGV[#ARGV - 1], '*',
      'k', ARGV[event + EVENT_CONVERSATION], 'i', ARGV[event + EVENT_ID],
      't', ARGV[event + EVENT_TYPE], 'q', ARGV[event + EVENT_QUEUED],
      'b', ARGV[event + EVENT_BODY])
  end
end
-- include write_end
