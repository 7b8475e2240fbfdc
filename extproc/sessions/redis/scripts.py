"""The Lua scripts of the Redis store: what changes more than one thing in one atomic step.

The keys of a script share a slot. Every script may run twice with the same outcome, because a
command is sent once more after its connection was lost.

A key may hold what no version of this program wrote: another type, or no number where one should
be. Then a script overwrites it, or takes it for nothing. Only a lock and a single-use marker are
left as they are, because they may mean that another process has the lock, or used the login.
"""

import hashlib
import re
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Script:
    """A script with its SHA-1, by which a server knows it after the first use (EVALSHA)."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", sha)


# Of all that a command may meet, only another type in its key is garbage. Anything else, such as a
# lack of memory, is a fault of the store.
_FAILS = r"if type(\1) == 'table' and \1.err and not string.find(\1.err, 'WRONGTYPE', 1, true) then return \1 end"


def _script(text: str) -> Script:
    """Make a script in which a line `--fails: NAME` after a pcall checks what NAME got.

    Unless that is garbage, an error ends the script.
    """
    return Script(re.sub(r"^--fails: (\w+)$", _FAILS, text, flags=re.M))


# KEYS: session, ended. ARGV: write, sealed, touched, expires, index, tags.
# Returns 0 if the session was ended while it was on its way.
WRITE = Script("""
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'write', ARGV[1], 'sealed', ARGV[2], 'touched', ARGV[3], 'expires', ARGV[4], 'index', ARGV[5], 'tags', ARGV[6])
redis.call('PEXPIREAT', KEYS[1], ARGV[4] * 1000)
return 1
""")

# KEYS: session, lock. ARGV: owner, sealed, touched, expires, index, tags.
# Returns 0 if the session is gone, 2 if the owner does not have the lock.
REPLACE = _script("""
local touched = redis.pcall('HGET', KEYS[1], 'touched')
--fails: touched
if type(touched) ~= 'string' then return 0 end
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 2 end
if not tonumber(touched) or tonumber(touched) < tonumber(ARGV[3]) then touched = ARGV[3] end
redis.call('HSET', KEYS[1], 'sealed', ARGV[2], 'touched', touched, 'expires', ARGV[4], 'index', ARGV[5], 'tags', ARGV[6])
redis.call('PEXPIREAT', KEYS[1], ARGV[4] * 1000)
return 1
""")

# KEYS: session. ARGV: touched. Never moves back, and makes no session.
TOUCH = _script("""
local touched = redis.pcall('HGET', KEYS[1], 'touched')
--fails: touched
if type(touched) == 'string' and (tonumber(touched) or 0) < tonumber(ARGV[1]) then redis.call('HSET', KEYS[1], 'touched', ARGV[1]) end
""")

# KEYS: session. Returns {write, tags}, both nil if the session is gone already.
DELETE = _script("""
local known = redis.pcall('HMGET', KEYS[1], 'write', 'tags')
--fails: known
redis.call('DEL', KEYS[1])
return known.err and {false, false} or known
""")

# KEYS: session, ended. ARGV: tag, milliseconds for which the write of `ended` writes nothing, now.
# Returns {write, tags} of the session that it ended, both nil if it ended none.
END = _script("""
redis.call('SET', KEYS[2], 1, 'PX', ARGV[2])
local known = redis.pcall('HMGET', KEYS[1], 'write', 'tags', 'expires')
--fails: known
if known.err then return {false, false} end
local write, tags, expires = unpack(known)
if not tags or not string.find(' ' .. tags .. ' ', ' ' .. ARGV[1] .. ' ', 1, true) then return {false, false} end
redis.call('DEL', KEYS[1])
return (tonumber(expires) or 0) > tonumber(ARGV[3]) and {write, tags} or {false, false}
""")

# KEYS: a tag's entries. ARGV: entry, expires.
# Entries that have expired are removed; the set expires with its last entry.
TAG = _script("""
local added = redis.pcall('ZADD', KEYS[1], ARGV[2], ARGV[1])
--fails: added
if type(added) == 'table' then
  redis.call('DEL', KEYS[1])
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', redis.call('TIME')[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
if last then redis.call('PEXPIREAT', KEYS[1], last * 1000) end
""")

# KEYS: single-use marker. ARGV: a random word of the caller's, expires.
# Returns 1 for the caller whose word is the marker, also if the script is sent twice.
USE_ONCE = Script("""
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PXAT', ARGV[2] * 1000) then return 1 end
return redis.call('GET', KEYS[1]) == ARGV[1] and 1 or 0
""")

# KEYS: revocation, "at expires". ARGV: at, expires. The later of each stays.
REVOKE = _script("""
local known = redis.pcall('GET', KEYS[1])
--fails: known
local at, expires = string.match(type(known) == 'string' and known or '', '^(%d+) (%d+)$')
at, expires = math.max(tonumber(ARGV[1]), tonumber(at) or 0), math.max(tonumber(ARGV[2]), tonumber(expires) or 0)
redis.call('SET', KEYS[1], string.format('%.0f %.0f', at, expires), 'PXAT', expires * 1000)
""")

# KEYS: lock. ARGV: owner, milliseconds. The owner renews its lock.
LOCK = Script("""
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")

# KEYS: lock. ARGV: owner.
UNLOCK = Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
""")
