// SPDX-License-Identifier: Apache-2.0

#if Redis
import Martlet

/// What the server runs at one go, in Lua: nothing happens between its steps, and others see all of it or nothing.
///
/// | key | |
/// |---|---|
/// | the stream | the events |
/// | `…:log` | a hash: the `epoch`, up to where entries are counted (`first`, `last`, `bytes`), the newest that was removed (`trimmed`), up to where that is not known by topic (`floor`), where entries were lost (`lost`), and the time for ages (`clock`) |
/// | `…:ids` | the ids of publishers: a sorted set of `id NUL entry`, and `id NUL` alone where an occurrence was removed |
/// | `…:keys` | a hash: the first entry of each publish with an idempotency key |
/// | `…:trimmed` | a hash: for each topic and audience, the last entry that was removed |
/// | `…:node:…` | for each node, the number of its last group and the answer; expires |
///
/// Entries that others add are counted before anything else is done, some at a time. Where others remove entries, all is
/// counted anew, and up to there it is not known by topic what was removed.
struct RedisScript: Sendable {
    let source: String

    /// Opens the stream for a node, which may be what begins it.
    ///
    /// Arguments: an epoch to begin with, the epoch that the node knows or nothing, the newest entry that it knows or nothing.
    static let open = RedisScript(source: common + openBody)
    /// Adds publishes and removes what is too much then.
    ///
    /// Arguments: the epoch; what is kept, see `keep`; the number of the group, for how many milliseconds its answer is kept,
    /// how many publishes; for each its key or nothing, and how many events; for each how many words, and these.
    static let append = RedisScript(source: common + appendBody)
    /// Counts what others have added, and removes what is too much.
    ///
    /// Arguments: the epoch; what is kept, see `keep`.
    static let tidy = RedisScript(source: common + tidyBody)

    private static let common = #"""
        local stream, log, ids, keys, topics = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
        local overhead, overheadOfAlternate = \#(Event.overheadBytes), \#(Event.alternateOverheadBytes)
        local mostCounted, mostRemoved = 1000, 1000
        -- Each node tidies once a second.
        local mostTick = 10000

        local function pad(id)
          local ms, n = string.match(id, '^(%d+)-(%d+)$')
          return string.rep('0', 20 - #ms) .. ms .. '-' .. string.rep('0', 20 - #n) .. n
        end
        local function less(a, b) return pad(a) < pad(b) end
        local function time(id) return tonumber(string.match(id, '^%d+')) end
        local function before(id)
          local ms, n = string.match(id, '^(%d+)-(%d+)$')
          if n ~= '0' and #n < 16 then return ms .. '-' .. string.format('%.0f', tonumber(n) - 1) end
          if n ~= '0' then return ms .. '-0' end
          return string.format('%.0f', tonumber(ms) - 1) .. '-18446744073709551615'
        end

        local s = {}
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
        -- The time for ages: the clock of the server, followed by a number of milliseconds at most. So if that clock jumps,
        -- history is not removed at once. The time never goes back.
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

        local counted = { topic = true, data = true, id = true, type = true, key = true }
        local function size(fields)
          local bytes = overhead
          for i = 1, #fields, 2 do
            if counted[fields[i]] then bytes = bytes + #fields[i + 1]
            elseif fields[i] == 'alternate' then bytes = bytes + #fields[i + 1] + overheadOfAlternate end
          end
          return bytes
        end
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

        -- What others have done since. Returns what is left to count: false, true, or 'gone' where the stream is another.
        local function catchUp()
          local first, last = head(), tail()
          if last == '' then
            if s.last ~= '' and less(s.trimmed, s.last) then return 'gone' end
            s.first = ''
            return false
          end
          if s.last ~= '' and less(last, s.last) and less(s.trimmed, s.last) then
            -- The newest were removed.
            redis.call('DEL', ids, keys)
            s.first, s.last, s.bytes = '', '', 0
          elseif s.first ~= '' and less(s.first, first) then
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

        local function forgetID(id, entry)
          redis.call('ZREM', ids, id .. '\0' .. pad(entry))
          local left = redis.call('ZRANGEBYLEX', ids, '(' .. id .. '\0', '(' .. id .. '\1', 'LIMIT', 0, 1)
          if left[1] then redis.call('ZADD', ids, 0, id .. '\0') else redis.call('ZREM', ids, id .. '\0') end
        end
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
          local audience = not isPrivate and 'e' or several and 'a' or 'g'
          for _, name in ipairs(names) do removed[audience .. ' ' .. name] = id end
          if less(s.trimmed, id) then s.trimmed = id end
        end
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

        -- What is kept: the most events, how many more before some are removed, the most bytes, the greatest age in
        -- milliseconds, the most topics to remember.
        local function keep(at)
          return { events = tonumber(ARGV[at]), slack = tonumber(ARGV[at + 1]), bytes = tonumber(ARGV[at + 2]),
            age = tonumber(ARGV[at + 3]), topics = tonumber(ARGV[at + 4]) }
        end
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
              local isTooMuch = length > kept.events or s.bytes > kept.bytes or time(id) < oldest
              if not isTooMuch or s.last == '' or less(s.last, id) then
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

        """#

    private static let openBody = #"""
        local proposed, known, newest = ARGV[1], ARGV[2], ARGV[3]
        local function begin()
          redis.call('DEL', log, ids, keys, topics)
          s.epoch, s.first, s.last, s.bytes, s.trimmed, s.floor, s.lost, s.clock = proposed, '', '', 0, '0-0', '0-0', '', 0
        end
        load()
        if not s.epoch then begin() end
        if catchUp() == 'gone' then
          begin()
          catchUp()
        end
        if known == s.epoch and newest ~= '' and less(s.trimmed, newest)
          and not redis.call('XRANGE', stream, newest, newest)[1] then
          local older = redis.call('XREVRANGE', stream, '(' .. newest, '-', 'COUNT', 1)[1]
          local from = older and older[1] or s.trimmed
          local lostFrom, lostTo = string.match(s.lost, '^(%S+) (%S+)$')
          if lostFrom and lostTo ~= newest and less(s.trimmed, lostFrom) and from ~= lostFrom then
            -- Twice within history is more than is remembered.
            begin()
            catchUp()
          elseif not lostFrom or less(lostTo, newest) then
            s.lost = from .. ' ' .. newest
            redis.pcall('XSETID', stream, newest)
          end
        end
        tick(0)
        save()
        return { s.epoch, s.trimmed, s.floor, s.lost, string.format('%.0f', s.clock), tail() }
        """#

    private static let appendBody = #"""
        load()
        if s.epoch ~= ARGV[1] then return { 'epoch' } end
        local number, lifetime, publishes = ARGV[7], ARGV[8], tonumber(ARGV[9])
        local known = redis.call('GET', KEYS[6])
        local newest = known and string.match(known, '^%d+')
        if newest == number then return { 'done', cjson.decode(string.match(known, '^%d+ (.*)$')) } end
        -- Sent on a connection that was lost, it was added or given up since.
        if newest and tonumber(newest) > tonumber(number) then return { 'late' } end
        local left = catchUp()
        if left == 'gone' then return { 'epoch' } end

        local function same(a, b)
          if #a ~= #b then return false end
          for i = 1, #a do
            if a[i] ~= b[i] then return false end
          end
          return true
        end
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

        local answers, at = {}, 10
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
          if not answer then
            answer = {}
            for event, fields in ipairs(events) do
              local id = redis.call('XADD', stream, '*', unpack(fields))
              if left then
                -- Counted when it is its turn; but the key has to be known now.
                if event == 1 and key ~= '' then redis.call('HSET', keys, key, id .. ' ' .. #events) end
              else
                count(id, fields)
                if s.first == '' then s.first = id end
              end
              answer[event] = id
            end
          end
          answers[publish] = answer
        end
        trim(keep(2))
        save()
        redis.call('SET', KEYS[6], number .. ' ' .. cjson.encode(answers), 'PX', lifetime)
        return { 'done', answers }
        """#

    private static let tidyBody = #"""
        load()
        if s.epoch ~= ARGV[1] then return { 'epoch' } end
        local left = catchUp()
        if left == 'gone' then return { 'epoch' } end
        tick(mostTick)
        trim(keep(2))
        save()
        return { left and 'more' or 'done', tail() }
        """#
}
#endif
