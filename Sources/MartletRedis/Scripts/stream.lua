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
-- :topics    hash        for each topic that has ended, has a writer, expires, or was purged: see `text`
-- :values    hash        for each `topic NUL key`, the newest entry: see `setValue`
-- :topics:order, :values:order
--            sorted set  the names in these hashes, the one that has changed least recently first
-- :node:…    string      for each node, the number of its last group and the answer; expires
--
-- Other programs may add entries. They are counted before anything else happens, some at a time. If other programs
-- remove entries, everything is counted again, and up to there it is unknown which topics lost events.
--
-- Every script calls `load` first, then `catchUp`, and `save` at the end.

local stream, log, ids, keys, topics = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local book, bookOrder, values, valueOrder = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
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
-- Nothing outlives history yet.
local none = '0 0 0 '
-- Reads the state.
--   epoch        the life of the stream
--   first, last  the first entry, and the last one that was counted; '' for none
--   bytes        of the entries that were counted
--   trimmed      the newest entry that was removed
--   floor        up to here, entries of any topic may have been removed
--   lost         'AFTER THROUGH': the entries that the server has lost; '' for none
--   clock        the time for ages, in milliseconds since 1970
--   present      of what outlives history: the number of changes, of topics, and of bytes of values, and, while entries
--                are counted again, the last one that was counted before; an earlier version has not written it
local function load()
  local v = redis.call('HMGET', log, 'epoch', 'first', 'last', 'bytes', 'trimmed', 'floor', 'lost', 'clock', 'present')
  s.epoch, s.first, s.last, s.bytes, s.trimmed, s.floor, s.lost, s.clock =
    v[1], v[2] or '', v[3] or '', tonumber(v[4] or 0), v[5] or '0-0', v[6] or '0-0', v[7] or '', tonumber(v[8] or 0)
  s.stored, s.present, s.changes, s.topics, s.valueBytes, s.folded = v, v[9], 0, 0, 0, ''
  if s.present and s.present ~= none then
    local changes, topics, bytes, folded = string.match(s.present, '^(%d+) (%d+) (%d+) (%S*)$')
    s.changes, s.topics, s.valueBytes = tonumber(changes or 0), tonumber(topics or 0), tonumber(bytes or 0)
    s.folded = folded or ''
  end
end
-- Stores the state, as far as it usually changes, or all of it.
local function save()
  local v, bytes, clock = s.stored, string.format('%.0f', s.bytes), string.format('%.0f', s.clock)
  if v[1] == s.epoch and v[2] == s.first and v[5] == s.trimmed and v[6] == s.floor and v[7] == s.lost
    and v[8] == clock then
    redis.call('HSET', log, 'last', s.last, 'bytes', bytes)
  else
    redis.call('HSET', log, 'epoch', s.epoch, 'first', s.first, 'last', s.last, 'bytes', bytes, 'trimmed', s.trimmed,
      'floor', s.floor, 'lost', s.lost, 'clock', clock)
  end
  if s.changes == 0 and s.present then return end
  local present = string.format('%.0f %.0f %.0f %s', s.changes, s.topics, s.valueBytes, s.folded)
  if present ~= s.present then redis.call('HSET', log, 'present', present) end
end
-- The clock of the server, in milliseconds since 1970.
local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end
-- Sets the time for ages to the clock of the server, but moves it by no more than a number of milliseconds. So if that
-- clock jumps, history is not removed at once. The time never goes back.
local function tick(most)
  local now = now()
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

-- What outlives history

local made
-- The functions for it, which are made when they are needed: most calls do not need them.
local function present()
  if made then return made end
  -- The fields of an event, each of which an entry has once at most; `alternate` may occur several times.
  local single = { topic = true, data = true, id = true, type = true, retry = true, key = true, private = true,
    expires = true, ['topic-expires'] = true, writer = true, ['end'] = true, purge = true }

  -- Whether an entry of another program, as a table of its fields, is an event. The limits of hubs are not known here.
  local function isEvent(event, fields)
    local function isInteger(text, isUnsigned)
      local sign, digits = string.match(text, '^([+-]?)0*(%d+)$')
      if not digits or isUnsigned and sign == '-' then return false end
      local most = isUnsigned and '18446744073709551615' or '9223372036854775807'
      return #digits < #most or #digits == #most and digits <= most
    end
    local utf8Forms = { '[\194-\223][\128-\191]', '\224[\160-\191][\128-\191]', '[\225-\236][\128-\191][\128-\191]',
      '\237[\128-\159][\128-\191]', '[\238-\239][\128-\191][\128-\191]', '\240[\144-\191][\128-\191][\128-\191]',
      '[\241-\243][\128-\191][\128-\191][\128-\191]', '\244[\128-\143][\128-\191][\128-\191]' }
    local function isText(text)
      if not string.find(text, '[\128-\255]') then return true end
      for _, form in ipairs(utf8Forms) do text = string.gsub(text, form, '?') end
      return not string.find(text, '[\128-\255]')
    end
    local function isName(text)
      return text ~= '' and isText(text) and not string.find(text, '[%z\1-\31\127]')
        and not string.find(text, '\194[\128-\159]')
    end
    for i = 1, #fields, 2 do
      if fields[i] == 'alternate' and not isName(fields[i + 1]) then return false end
    end
    for _, name in ipairs({ 'topic', 'id', 'type', 'key' }) do
      if event[name] and not isName(event[name]) then return false end
    end
    for _, name in ipairs({ 'private', 'end', 'purge' }) do
      if event[name] and event[name] ~= '0' and event[name] ~= '1' then return false end
    end
    for _, name in ipairs({ 'retry', 'expires', 'topic-expires' }) do
      if event[name] and not isInteger(event[name]) then return false end
    end
    if event.writer then
      local epoch, name = string.match(event.writer, '^(%S+) (.*)$')
      if not epoch or not isInteger(epoch, true) or not isName(name) then return false end
    end
    return event.topic and event.data and isText(event.data) and event.type ~= 'gap' and event.id ~= 'earliest'
  end

  -- What is known of a topic, as a text: END EPOCH EXPIRES LAST GONE NAME. Where it has ended, the epoch of its writer,
  -- when it expires, the last entry of a topic that expires, the entry up to which all are gone, each '-' for none; and
  -- the name of the writer.
  local function text(entry)
    return entry.ended .. ' ' .. entry.epoch .. ' ' .. entry.expires .. ' ' .. entry.last .. ' ' .. entry.gone .. ' '
      .. entry.name
  end
  -- What is known of topics, as far as it was looked up; false for nothing.
  local known = {}
  local function lookUp(topic)
    if s.topics == 0 then return nil end
    if known[topic] == nil then
      local text = redis.call('HGET', book, topic)
      local ended, epoch, expires, last, gone, name =
        string.match(text or '', '^(%S+) (%S+) (%S+) (%S+) (%S+) (.*)$')
      known[topic] = ended and
        { ended = ended, epoch = epoch, expires = expires, last = last, gone = gone, name = name } or false
    end
    return known[topic] or nil
  end
  local function isOver(entry) return entry.expires ~= '-' and tonumber(entry.expires) <= now() end
  -- Whether one writer is replaced by another.
  local function isReplaced(epoch, name, newEpoch, newName)
    if #epoch ~= #newEpoch then return #epoch < #newEpoch end
    return epoch < newEpoch or epoch == newEpoch and name ~= newName
  end
  local function writer(text)
    local epoch, name = string.match(text or '', '^%+?0*(%d+) (.*)$')
    return epoch, name
  end

  -- Why events are refused: 'ended TOPIC', or 'replaced EPOCH TOPIC'; nil if they are not.
  local function refusal(events)
    local ended = {}
    for _, fields in ipairs(events) do
      local named, epoch, name, ends, purges = {}, nil, nil, false, false
      for i = 1, #fields, 2 do
        local field, value = fields[i], fields[i + 1]
        if field == 'topic' or field == 'alternate' then named[#named + 1] = value
        elseif field == 'writer' then epoch, name = writer(value)
        elseif field == 'end' then ends = value == '1'
        elseif field == 'purge' then purges = value == '1' end
      end
      for _, topic in ipairs(named) do
        if ended[topic] then return 'ended ' .. topic end
        local entry = lookUp(topic)
        if entry and not isOver(entry) then
          -- What a topic had before it ended can still be removed.
          if entry.ended ~= '-' and not purges then return 'ended ' .. topic end
          local isOwn = topic == named[1] and epoch and entry.epoch ~= '-'
          if isOwn and isReplaced(epoch, name, entry.epoch, entry.name) then
            return 'replaced ' .. entry.epoch .. ' ' .. topic
          end
        end
      end
      if ends then ended[named[1]] = true end
    end
  end
  -- Where the topic has ended that these events end, if that is all that they do.
  local function repeatedEnd(events)
    if #events ~= 1 then return nil end
    local topic, ends
    for i = 1, #events[1], 2 do
      if events[1][i] == 'topic' then topic = events[1][i + 1] end
      if events[1][i] == 'end' then ends = events[1][i + 1] == '1' end
    end
    local entry = ends and lookUp(topic)
    if entry and entry.ended ~= '-' and not isOver(entry) then return entry.ended end
  end

  local function change(order, name)
    s.changes = s.changes + 1
    redis.call('ZADD', order, string.format('%.0f', s.changes), name)
  end
  local function noteTopic(id, event)
    local changes = event['topic-expires'] or event.writer or event['end'] == '1' or event.purge == '1'
    local old = lookUp(event.topic)
    if not changes and (not old or old.expires == '-') then return end
    -- It was looked at before its turn.
    if old and old.gone ~= '-' and not less(old.gone, id) then return end
    local entry = { ended = '-', epoch = '-', expires = '-', last = '-', gone = '-', name = '' }
    if old and isOver(old) then
      entry.gone = old.last ~= '-' and old.last or old.gone
    elseif old then
      for name, value in pairs(old) do entry[name] = value end
    end
    if event['topic-expires'] then entry.expires = event['topic-expires'] end
    local epoch, name = writer(event.writer)
    if epoch and (entry.epoch == '-' or not isReplaced(epoch, name, entry.epoch, entry.name)) then
      entry.epoch, entry.name = epoch, name
    end
    if event['end'] == '1' and entry.ended == '-' then entry.ended = id end
    if event.purge == '1' then entry.gone = id end
    if entry.expires ~= '-' and (entry.last == '-' or less(entry.last, id)) then entry.last = id end
    if old and text(entry) == text(old) then return end
    s.topics = s.topics + redis.call('HSET', book, event.topic, text(entry))
    change(bookOrder, event.topic)
    known[event.topic] = entry
  end
  local function forgetValue(name)
    local length = redis.call('HSTRLEN', values, name)
    if length > 0 then s.valueBytes = s.valueBytes - length - #name end
    return length > 0
  end
  -- Stores an event in the place of the last one with its topic and key: the id of its entry and a line feed, and the
  -- fields as `EventFields.list` writes them. Empty data removes the value.
  local function setValue(id, event, fields)
    local name = event.topic .. '\0' .. event.key
    local isThere = forgetValue(name)
    if event.data == '' then
      if isThere then
        redis.call('HDEL', values, name)
        redis.call('ZREM', valueOrder, name)
        s.changes = s.changes + 1
      end
      return
    end
    local parts = { id, '\n' }
    for i = 1, #fields, 2 do
      if single[fields[i]] or fields[i] == 'alternate' then
        parts[#parts + 1] = fields[i] .. ' ' .. #fields[i + 1] .. '\n'
        parts[#parts + 1] = fields[i + 1]
        parts[#parts + 1] = '\n'
      end
    end
    parts[#parts + 1] = '\n'
    local value = table.concat(parts)
    redis.call('HSET', values, name, value)
    change(valueOrder, name)
    s.valueBytes = s.valueBytes + #value + #name
  end
  -- The fields of an entry as a table; nil if the entry, which another program may have added, is no event.
  local function describe(fields, isForeign)
    local event = {}
    for i = 1, #fields, 2 do
      local name = fields[i]
      if single[name] then
        if event[name] then return nil end
        event[name] = fields[i + 1]
      end
    end
    if isForeign and not isEvent(event, fields) then return nil end
    return event
  end

  made = {}
  made.repeatedEnd, made.refusal = repeatedEnd, refusal
  -- Takes note of what an entry says about its topic.
  function made.noteTopic(id, fields) noteTopic(id, describe(fields)) end
  -- Takes note of all that outlives an entry.
  function made.note(id, fields, isForeign)
    local event = describe(fields, isForeign)
    if not event then return end
    noteTopic(id, event)
    if event.key then setValue(id, event, fields) end
  end
  -- Removes the oldest beyond the bounds, some at a time: the most topics, the most values, and their most bytes.
  function made.forgetOldest(bounds)
    local mostTopics, mostValues, mostBytes = string.match(bounds, '^(%d+) (%d+) (%d+)$')
    local over = math.min(redis.call('ZCARD', bookOrder) - tonumber(mostTopics), mostRemoved)
    if over > 0 then
      local oldest, names = redis.call('ZPOPMIN', bookOrder, over), {}
      for i = 1, #oldest, 2 do names[#names + 1] = oldest[i] end
      redis.call('HDEL', book, unpack(names))
      s.topics = redis.call('HLEN', book)
    end
    local count = redis.call('ZCARD', valueOrder)
    mostValues, mostBytes = tonumber(mostValues), tonumber(mostBytes)
    for _ = 1, mostRemoved do
      if count <= mostValues and (count <= 1 or s.valueBytes <= mostBytes) then return end
      local name = redis.call('ZPOPMIN', valueOrder)[1]
      forgetValue(name)
      redis.call('HDEL', values, name)
      count = count - 1
    end
  end
  return made
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
-- Counts the entry behind the last one that was counted, which another program may have added.
local function count(id, fields, isForeign)
  local bytes, once, number, lasts = s.bytes + eventOverhead, nil, nil, s.topics > 0
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    if counted[name] then
      bytes = bytes + #value
      if name == 'id' then redis.call('ZADD', ids, 0, value .. '\0' .. pad(id))
      elseif name == 'key' then lasts = true end
    elseif name == 'alternate' then bytes = bytes + #value + alternateOverhead
    elseif name == 'once' then once = value
    elseif name == 'count' then number = value
    elseif name == 'topic-expires' or name == 'writer' or name == 'end' or name == 'purge' then lasts = true end
  end
  s.bytes, s.last = bytes, id
  if once then redis.call('HSET', keys, once, id .. ' ' .. (number or '1')) end
  if s.folded ~= '' then
    -- What was counted before is known.
    if not less(s.folded, id) then return end
    s.folded = ''
  end
  if lasts then present().note(id, fields, isForeign) end
end
-- Counts from the first entry on again.
local function recount()
  redis.call('DEL', ids, keys)
  if s.changes > 0 and s.last ~= '' and (s.folded == '' or less(s.folded, s.last)) then s.folded = s.last end
  s.last, s.bytes = '', 0
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
    recount()
    s.first = ''
  elseif s.first ~= '' and less(s.first, first) then
    -- The oldest entries were removed.
    local removed = before(first)
    if less(s.floor, removed) then s.floor = removed end
    if less(s.trimmed, removed) then s.trimmed = removed end
    recount()
  end
  s.first = first
  if s.last == last then return false end
  local entries = redis.call('XRANGE', stream, s.last == '' and '-' or '(' .. s.last, '+', 'COUNT', mostCounted)
  for _, entry in ipairs(entries) do count(entry[1], entry[2], true) end
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
-- the most bytes, the greatest age in milliseconds, and the most topics whose removed events are remembered.
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

