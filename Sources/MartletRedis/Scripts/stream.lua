-- SPDX-License-Identifier: Apache-2.0
--
-- What the scripts on the stream share. It stands in front of each of them, behind a line that sets eventOverhead and
-- alternateOverhead: the bytes that an event, and each alternate topic, counts in addition to its texts.
--
-- key        type        content
-- STREAM     stream      the events
-- :log       hash        see `load`
-- :ids       sorted set  publishers' ids: `id NUL entry`, and `id NUL` alone if an occurrence was removed
-- :keys      hash        for each idempotency key, the first entry of its publish and the number of its events
-- :trimmed   hash        for each topic and audience, the last entry that was removed
-- :node:…    string      for each node, the number of its last group and the answer; expires
--
-- Other programs may add entries. They are counted before anything else happens, some at a time. If other programs
-- remove entries, everything is counted again, and up to there it is unknown which topics lost events.
--
-- Every script calls `load` first, then `catchUp`, and `save` at the end.

local stream, log, ids, keys, topics = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
-- The most entries that one call counts, and removes.
local mostCounted, mostRemoved = 1000, 1000

-- Entry ids

-- The id with leading zeros, so that ids are ordered as texts.
local function pad(id)
  local ms, n = string.match(id, '^(%d+)-(%d+)$')
  return string.rep('0', 20 - #ms) .. ms .. '-' .. string.rep('0', 20 - #n) .. n
end
local function less(a, b) return pad(a) < pad(b) end
local function time(id) return tonumber(string.match(id, '^%d+')) end
-- An id in front of this one: the next, unless its number has more digits than a double can hold.
local function before(id)
  local ms, n = string.match(id, '^(%d+)-(%d+)$')
  if n ~= '0' and #n < 16 then return ms .. '-' .. string.format('%.0f', tonumber(n) - 1) end
  if n ~= '0' then return ms .. '-0' end
  return string.format('%.0f', tonumber(ms) - 1) .. '-18446744073709551615'
end

-- State

local s = {}
-- Reads the state.
--   epoch        the life of the stream
--   first, last  the first entry, and the last one that was counted; '' for none
--   bytes        of the entries that were counted
--   trimmed      the newest entry that was removed
--   floor        up to here, entries of any topic may have been removed
--   lost         'AFTER THROUGH': the entries that the server has lost; '' for none
--   clock        the time for ages, in milliseconds since 1970
local function load()
  local v = redis.call('HMGET', log, 'epoch', 'first', 'last', 'bytes', 'trimmed', 'floor', 'lost', 'clock')
  s.epoch, s.first, s.last, s.bytes, s.trimmed, s.floor, s.lost, s.clock =
    v[1], v[2] or '', v[3] or '', tonumber(v[4] or 0), v[5] or '0-0', v[6] or '0-0', v[7] or '', tonumber(v[8] or 0)
end
local function save()
  redis.call('HSET', log, 'epoch', s.epoch, 'first', s.first, 'last', s.last,
    'bytes', string.format('%.0f', s.bytes), 'trimmed', s.trimmed, 'floor', s.floor, 'lost', s.lost,
    'clock', string.format('%.0f', s.clock))
end
-- Sets the time for ages to the clock of the server, but moves it by no more than a number of milliseconds. So if that
-- clock jumps, history is not removed at once. The time never goes back.
local function tick(most)
  local t = redis.call('TIME')
  local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
  if s.clock == 0 or s.first == '' then s.clock = now
  elseif now > s.clock then s.clock = math.min(now, s.clock + most) end
end
local function head()
  local entries = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)
  return entries[1] and entries[1][1] or ''
end
local function tail()
  local entries = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
  return entries[1] and entries[1][1] or ''
end

-- Counting

local counted = { topic = true, data = true, id = true, type = true, key = true }
local function size(fields)
  local bytes = eventOverhead
  for i = 1, #fields, 2 do
    if counted[fields[i]] then bytes = bytes + #fields[i + 1]
    elseif fields[i] == 'alternate' then bytes = bytes + #fields[i + 1] + alternateOverhead end
  end
  return bytes
end
-- Counts the entry behind the last one that was counted.
local function count(id, fields)
  s.bytes = s.bytes + size(fields)
  s.last = id
  local once, number
  for i = 1, #fields, 2 do
    local name = fields[i]
    if name == 'id' then redis.call('ZADD', ids, 0, fields[i + 1] .. '\0' .. pad(id))
    elseif name == 'once' then once = fields[i + 1]
    elseif name == 'count' then number = fields[i + 1] end
  end
  if once then redis.call('HSET', keys, once, id .. ' ' .. (number or '1')) end
end

-- Takes note of what other programs have added and removed. Returns whether entries are left to count, or 'gone' if
-- this is another stream.
local function catchUp()
  local first, last = head(), tail()
  if last == '' then
    if s.last ~= '' and less(s.trimmed, s.last) then return 'gone' end
    s.first = ''
    return false
  end
  if s.last ~= '' and less(last, s.last) and less(s.trimmed, s.last) then
    -- The newest entries were removed.
    redis.call('DEL', ids, keys)
    s.first, s.last, s.bytes = '', '', 0
  elseif s.first ~= '' and less(s.first, first) then
    -- The oldest entries were removed.
    local removed = before(first)
    if less(s.floor, removed) then s.floor = removed end
    if less(s.trimmed, removed) then s.trimmed = removed end
    redis.call('DEL', ids, keys)
    s.last, s.bytes = '', 0
  end
  s.first = first
  if s.last == last then return false end
  local entries = redis.call('XRANGE', stream, s.last == '' and '-' or '(' .. s.last, '+', 'COUNT', mostCounted)
  for _, entry in ipairs(entries) do count(entry[1], entry[2]) end
  return s.last ~= '' and s.last ~= last
end

-- Retention

local function forgetID(id, entry)
  redis.call('ZREM', ids, id .. '\0' .. pad(entry))
  local left = redis.call('ZRANGEBYLEX', ids, '(' .. id .. '\0', '(' .. id .. '\1', 'LIMIT', 0, 1)
  if left[1] then redis.call('ZADD', ids, 0, id .. '\0') else redis.call('ZREM', ids, id .. '\0') end
end
-- Takes an entry out of the counts, and adds its topics to `removed`.
local function forget(id, fields, removed)
  s.bytes = s.bytes - size(fields)
  local names, isPrivate, several = {}, false, false
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    if name == 'topic' then names[#names + 1] = value
    elseif name == 'alternate' then
      names[#names + 1] = value
      several = true
    elseif name == 'private' then isPrivate = value == '1'
    elseif name == 'id' then forgetID(value, id)
    elseif name == 'once' then
      local known = redis.call('HGET', keys, value)
      if known and string.match(known, '^%S+') == id then redis.call('HDEL', keys, value) end
    end
  end
  -- The audience: everyone, subscribers with a right to the topic, or with a right to any topic of the event.
  local audience = not isPrivate and 'e' or several and 'a' or 'g'
  for _, name in ipairs(names) do removed[audience .. ' ' .. name] = id end
  if less(s.trimmed, id) then s.trimmed = id end
end
-- Stores the topics of removed entries. Beyond the capacity, the older half is forgotten, and s.floor rises.
local function rememberTopics(removed, capacity)
  local words = {}
  for name, id in pairs(removed) do
    words[#words + 1] = name
    words[#words + 1] = id
    if #words == 1000 then
      redis.call('HSET', topics, unpack(words))
      words = {}
    end
  end
  if #words > 0 then redis.call('HSET', topics, unpack(words)) end
  if redis.call('HLEN', topics) <= capacity then return end
  local all, padded, id = redis.call('HGETALL', topics), {}, {}
  for i = 2, #all, 2 do
    local text = pad(all[i])
    padded[#padded + 1] = text
    id[text] = all[i]
  end
  table.sort(padded)
  local floor = padded[#padded - math.floor(capacity / 2)]
  local old = {}
  for i = 2, #all, 2 do
    if pad(all[i]) <= floor then old[#old + 1] = all[i - 1] end
    if #old == 1000 then
      redis.call('HDEL', topics, unpack(old))
      old = {}
    end
  end
  if #old > 0 then redis.call('HDEL', topics, unpack(old)) end
  if less(s.floor, id[floor]) then s.floor = id[floor] end
end

-- The retention in the arguments from a number on: the most events, how many more there may be before some are removed,
-- the most bytes, the greatest age in milliseconds, the most topics to remember.
local function retention(at)
  return { events = tonumber(ARGV[at]), slack = tonumber(ARGV[at + 1]), bytes = tonumber(ARGV[at + 2]),
    age = tonumber(ARGV[at + 3]), topics = tonumber(ARGV[at + 4]) }
end
-- Removes the oldest entries that exceed retention, as far as they were counted.
local function trim(kept)
  if s.first == '' then return end
  local length = redis.call('XLEN', stream)
  local oldest = s.clock - kept.age
  if length <= kept.events + kept.slack and s.bytes <= kept.bytes and time(s.first) >= oldest then return end
  local removed, total, isEnough = {}, 0, false
  while not isEnough and total < mostRemoved do
    local ahead = math.max(1, math.min(100, length - kept.events))
    if length <= kept.events then ahead = 16 end
    local entries, gone = redis.call('XRANGE', stream, '-', '+', 'COUNT', ahead), {}
    for _, entry in ipairs(entries) do
      local id = entry[1]
      local exceeds = length > kept.events or s.bytes > kept.bytes or time(id) < oldest
      if not exceeds or s.last == '' or less(s.last, id) then
        isEnough = true
        break
      end
      forget(id, entry[2], removed)
      gone[#gone + 1] = id
      length = length - 1
    end
    if #gone == 0 then break end
    redis.call('XDEL', stream, unpack(gone))
    total = total + #gone
  end
  if total == 0 then return end
  s.first = head()
  rememberTopics(removed, kept.topics)
end

