if #refusals > 0 then return refusals end
-- The batch is stored even if the user may not publish.
for notice = NOTICES, NOTICES - 1 + NOTICE_SIZE * notices, NOTICE_SIZE do
  pcall('PUBLISH', ARGV[notice + NOTICE_CHANNEL], ARGV[notice + NOTICE_PAYLOAD])
end
return 0
