-- SPDX-License-Identifier: Apache-2.0
-- Returns the value of a key and removes it, so that only one caller has it; nothing if there is none.
local value = redis.call('GET', KEYS[1])
if value then redis.call('DEL', KEYS[1]) end
return value
