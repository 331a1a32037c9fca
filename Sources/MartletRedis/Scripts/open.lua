-- SPDX-License-Identifier: Apache-2.0
--
-- Opens the stream for a node. Begins an epoch if there is none, or if the stream was deleted. If the server no longer
-- has an entry that the node has seen, the entries from there on are remembered as lost.
--
-- Arguments: an epoch to begin with; the epoch that the node knows and the newest entry that it has seen, or '' for
-- each. Answer: epoch, trimmed, floor, lost, clock, and the last entry.

local proposed, known, newest = ARGV[1], ARGV[2], ARGV[3]
local function begin()
  redis.call('DEL', log, ids, keys, topics, book, bookOrder, values, valueOrder)
  s.epoch, s.first, s.last, s.bytes, s.trimmed, s.floor, s.lost, s.clock = proposed, '', '', 0, '0-0', '0-0', '', 0
  s.changes, s.topics, s.valueBytes, s.folded, s.present, s.stored = 0, 0, 0, '', false, {}
end
load()
if not s.epoch then begin() end
-- An earlier version has counted entries and taken no note of what outlives them.
if not s.present and s.last ~= '' then recount() end
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
    -- Only one loss within history is remembered.
    begin()
    catchUp()
  elseif not lostFrom or less(lostTo, newest) then
    s.lost = from .. ' ' .. newest
    -- New entries get ids behind the lost ones.
    redis.pcall('XSETID', stream, newest)
  end
end
tick(0)
save()
return { s.epoch, s.trimmed, s.floor, s.lost, string.format('%.0f', s.clock), tail() }
