-- Adds number and value of those of the messages that a hash has. Returns an error reply if it is
-- no hash.
local function collect(hash, numbers, list)
  for from = 1, #numbers, 500 do
    local to = math.min(from + 499, #numbers)
    local values = redis.pcall('HMGET', hash, unpack(numbers, from, to))
    if values.err then return redis.error_reply('DAMAGED ' .. hash .. ' is not a hash') end
    for n = from, to do
      local value = values[n - from + 1]
      if value then
        list[#list + 1] = numbers[n]
        list[#list + 1] = value
      end
    end
  end
end
