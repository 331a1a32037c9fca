-- SPDX-License-Identifier: Apache-2.0
--
-- Lists the nodes that have posted, each with the version of its posting, and removes the names of nodes whose postings
-- have expired.
--
-- Keys: the set of the names; the posting of a node is at SET:NAME.
-- Arguments: the number of digits of a version, with which a posting begins.
-- Answer: the names, each followed by its version.

local found = {}
for _, node in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local version = redis.call('GETRANGE', KEYS[1] .. ':' .. node, 0, tonumber(ARGV[1]) - 1)
  if version == '' then
    redis.call('SREM', KEYS[1], node)
  else
    found[#found + 1] = node
    found[#found + 1] = version
  end
end
return found
