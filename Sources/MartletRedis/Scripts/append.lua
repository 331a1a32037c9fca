-- SPDX-License-Identifier: Apache-2.0
--
-- Adds a group of publishes, all or none, then removes what exceeds retention. A group that is sent again is added
-- once, and gets the same answer; a group that is older than the last one of its node is not added. A publish whose
-- idempotency key was used is not added: it gets the earlier answer if its events are the same. A publish to a topic
-- that has ended is not added, and neither is one by a writer that was replaced.
--
-- Keys: the node, as the tenth.
-- Arguments: the epoch; the retention (5); the bounds of what outlives history; the number of the group; for how many
-- milliseconds its answer is kept; '1' if any event ends a topic; the number of publishes; for each publish its key or
-- '', and the number of events; for each event the number of words, and the names and values of its fields.
-- Answer: 'done' and for each publish the ids of its entries, or 'reused', 'ended TOPIC', or 'replaced EPOCH TOPIC';
-- 'epoch' if the stream is in another epoch; 'late' if there was a newer group.

load()
if s.epoch ~= ARGV[1] then return { 'epoch' } end
local number, lifetime, ends, publishes = ARGV[8], ARGV[9], ARGV[10] == '1', tonumber(ARGV[11])
local known = redis.call('GET', KEYS[10])
local newest = known and string.match(known, '^%d+')
if newest == number then return { 'done', cjson.decode(string.match(known, '^%d+ (.*)$')) } end
-- The command was delayed on a connection that is lost. The group was added or given up since.
if newest and tonumber(newest) > tonumber(number) then return { 'late' } end
local left = catchUp()
if left == 'gone' then return { 'epoch' } end

-- How long an event lives is counted from each attempt, and each attempt is another part of a trace.
local changing = { expires = true, ['topic-expires'] = true }
local function untraced(fields)
  local others = {}
  for i = 1, #fields, 2 do
    if fields[i] ~= 'traceparent' then
      others[#others + 1] = fields[i]
      others[#others + 1] = fields[i + 1]
    end
  end
  return others
end
local function same(a, b)
  a, b = untraced(a), untraced(b)
  if #a ~= #b then return false end
  for i = 1, #a do
    if a[i] ~= b[i] and not (i % 2 == 0 and changing[a[i - 1]]) then return false end
  end
  return true
end
-- The answer to the earlier publish with a key, 'reused' if it had other events, or nil.
local function accepted(key, events)
  local known = key ~= '' and redis.call('HGET', keys, key)
  if not known then return nil end
  local first, number = string.match(known, '^(%S+) (%d+)$')
  if tonumber(number) ~= #events then return 'reused' end
  local entries = redis.call('XRANGE', stream, first, '+', 'COUNT', #events)
  if #entries ~= #events or entries[1][1] ~= first then return nil end
  local answer = {}
  for i, entry in ipairs(entries) do
    if not same(entry[2], events[i]) then return 'reused' end
    answer[i] = entry[1]
  end
  return answer
end

local answers, at, changes = {}, 12, s.changes
for publish = 1, publishes do
  local key, events = ARGV[at], {}
  local total = tonumber(ARGV[at + 1])
  at = at + 2
  for event = 1, total do
    local words, fields = tonumber(ARGV[at]), {}
    for word = 1, words do fields[word] = ARGV[at + word] end
    at = at + words + 1
    events[event] = fields
  end
  local answer = accepted(key, events)
  if not answer and (ends or s.topics > 0) then
    local ended = present().repeatedEnd(events)
    answer = ended and { ended } or present().refusal(events)
  end
  if not answer then
    answer = {}
    for event, fields in ipairs(events) do
      local id = redis.call('XADD', stream, '*', unpack(fields))
      if left then
        -- The entry is counted later, behind those in front of it. But its key must be known from now on.
        if event == 1 and key ~= '' then redis.call('HSET', keys, key, id .. ' ' .. #events) end
        -- And so must what it says about its topic.
        present().noteTopic(id, fields)
      else
        count(id, fields)
        if s.first == '' then s.first = id end
      end
      answer[event] = id
    end
  end
  answers[publish] = answer
end
trim(retention(2))
if s.changes ~= changes then present().forgetOldest(ARGV[7]) end
save()
redis.call('SET', KEYS[10], number .. ' ' .. cjson.encode(answers), 'PX', lifetime)
return { 'done', answers }
