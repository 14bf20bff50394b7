#!lua flags=no-writes
-- keys: key
-- arguments: history mode number limit bytes since
-- Messages with their amendments. `mode` is `newest`, `before` or `after` a number; `limit`
-- and `bytes` are the most messages and bytes; amended messages below the page are wanted if they
-- were amended after the revision `since`, unless that is -1.
--
-- Returns what `page_end` says.
-- include reading
-- include read_page
-- include amended_since
number, limit, bytes, since = tonumber(number), tonumber(limit), tonumber(bytes), tonumber(since)
local low, high, is_up = 1, 0, mode == 'after'
if limit > 0 and oldest <= head then
  if mode == 'newest' then
    low, high = math.max(oldest, head - math.min(limit, head) + 1), head
  elseif mode == 'before' then
    if number > oldest then
      local stop = math.min(number, head + 1)
      low, high = math.max(oldest, stop - math.min(limit, stop)), stop - 1
    end
  elseif number < head then
    low = math.max(number + 1, oldest)
    high = low + math.min(limit, head - low + 1) - 1
  end
end
local below, below_ids = {}, {}
local entries, ids, has_more = {}, {}, false
if low <= high then
  entries, ids, low, high = read_page(low, high, is_up, bytes)
  if entries.err then return entries end
  if is_up then has_more = high < head else has_more = low > oldest end
end
local function is_shown(to) return to >= low and to <= high end
-- Changes come without what they refer to.
local has_references = since < 0
if since >= 0 and arev > since then
  local found = amended_since(since, number)
  if found.err then return found end
  for _, amendment in ipairs(found) do
    local id = amendment[2]
    local entry = redis.call('XRANGE', log, id, id)[1]
    if entry then
      below[#below + 1] = entry
      below_ids[#below_ids + 1] = id
    end
  end
end
-- include page_end
