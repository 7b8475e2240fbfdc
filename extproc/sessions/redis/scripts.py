"""What changes more than one thing at once. The keys of a script share a slot; every script may run
twice with the same outcome.

A key may hold what no version of this program wrote: of another type, or no number where one should
be. Then a script writes over it, or takes it for nothing; only what says that somebody has a lock
or has used a login is left as it is.
"""

import re

from extproc.sessions.redis.client import Script

# of all that a command may meet, only another type in its key is garbage; no memory, say, is the
# store's trouble
_FAILS = r"if type(\1) == 'table' and \1.err and not string.find(\1.err, 'WRONGTYPE', 1, true) then return \1 end"


def _script(text: str) -> Script:
    """After a pcall, a line `--fails: NAME` ends the script with what NAME met, unless that is
    garbage.
    """
    return Script(re.sub(r"^--fails: (\w+)$", _FAILS, text, flags=re.M))


# KEYS: session, ended. ARGV: write, sealed, touched, expires, index, tags. 0: it was ended while it
# was on its way
WRITE = Script("""
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'write', ARGV[1], 'sealed', ARGV[2], 'touched', ARGV[3], 'expires', ARGV[4], 'index', ARGV[5], 'tags', ARGV[6])
redis.call('PEXPIREAT', KEYS[1], ARGV[4] * 1000)
return 1
""")

# KEYS: session, lock. ARGV: holder, sealed, touched, expires, index, tags. 0: it is gone, or the
# lock is not the holder's
REPLACE = _script("""
local touched = redis.pcall('HGET', KEYS[1], 'touched')
--fails: touched
if type(touched) ~= 'string' or redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
if not tonumber(touched) or tonumber(touched) < tonumber(ARGV[3]) then touched = ARGV[3] end
redis.call('HSET', KEYS[1], 'sealed', ARGV[2], 'touched', touched, 'expires', ARGV[4], 'index', ARGV[5], 'tags', ARGV[6])
redis.call('PEXPIREAT', KEYS[1], ARGV[4] * 1000)
return 1
""")

# KEYS: session. ARGV: touched. Never back in time, and no session is made by it
TOUCH = _script("""
local touched = redis.pcall('HGET', KEYS[1], 'touched')
--fails: touched
if type(touched) == 'string' and (tonumber(touched) or 0) < tonumber(ARGV[1]) then redis.call('HSET', KEYS[1], 'touched', ARGV[1]) end
""")

# KEYS: session. {write, tags}, both nil when it is gone already
DELETE = _script("""
local known = redis.pcall('HMGET', KEYS[1], 'write', 'tags')
--fails: known
redis.call('DEL', KEYS[1])
return known.err and {false, false} or known
""")

# KEYS: session, ended. ARGV: tag, milliseconds in which that write writes nothing any more, now.
# The same answer, of what it ended
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

# KEYS: a tag's entries. ARGV: entry, expires. Those past their end leave; the set itself goes with
# its last one
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

# KEYS: attempt. ARGV: the caller's own random word, expires. Sent twice by one caller it is still
# that caller's
CLAIM = Script("""
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PXAT', ARGV[2] * 1000) then return 1 end
return redis.call('GET', KEYS[1]) == ARGV[1] and 1 or 0
""")

# KEYS: tombstone, "at expires". ARGV: at, expires. The later of both stay
BURY = _script("""
local known = redis.pcall('GET', KEYS[1])
--fails: known
local at, expires = string.match(type(known) == 'string' and known or '', '^(%d+) (%d+)$')
at, expires = math.max(tonumber(ARGV[1]), tonumber(at) or 0), math.max(tonumber(ARGV[2]), tonumber(expires) or 0)
redis.call('SET', KEYS[1], string.format('%.0f %.0f', at, expires), 'PXAT', expires * 1000)
""")

# KEYS: lock. ARGV: holder, milliseconds. The holder renews
LOCK = Script("""
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")

# KEYS: lock. ARGV: holder
UNLOCK = Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
""")
