-- SPDX-License-Identifier: Apache-2.0
--
-- Counts entries of other programs and removes what exceeds retention, some entries at a time. Each node calls it once
-- a second, and again while there is more to count.
--
-- Arguments: the epoch; the retention (5); the bounds of what outlives history.
-- Answer: 'done' or 'more', and the last entry; 'epoch' if the stream is in another epoch.

load()
if s.epoch ~= ARGV[1] then return { 'epoch' } end
local left = catchUp()
if left == 'gone' then return { 'epoch' } end
-- Ten seconds for each second that passes, at most.
tick(10000)
trim(retention(2))
if s.changes > 0 then present().forgetOldest(ARGV[7]) end
save()
return { left and 'more' or 'done', tail() }
