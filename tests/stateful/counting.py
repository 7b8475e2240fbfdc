"""The work of a generated configuration's Lua for one request, counted and not timed.

config = counted(to_yaml(settings))

The work is the characters that Lua's string functions look at or copy, and the bytes that it
allocates. Each answer has it in `x-lua-work`. Nothing is compiled, and garbage of earlier requests
is collected first; otherwise one request in some thousands would count tens of kB that are not its
own.
"""

from typing import Any

import yaml

WORK = "x-lua-work"

_BEFORE = """\
local work_ = 0
do
  local find, match, gsub, sub, rep, gmatch, byte, lower, upper =
    string.find, string.match, string.gsub, string.sub, string.rep, string.gmatch, string.byte, string.lower, string.upper
  local concat = table.concat
  local function looked(s, pattern, init, plain)
    init = init or 1
    if init < 0 then init = #s + init + 1 end
    local first, last = find(s, pattern, init, plain)
    -- an anchored pattern that does not match gives up early; how early is a guess
    if first == nil and not plain and byte(pattern) == 94 then first, last = find(s, "^[^;,= ]*", init) end
    work_ = work_ + math.max((last or #s) - init, 0) + 1
  end
  string.find = function(s, pattern, init, plain) looked(s, pattern, init, plain) return find(s, pattern, init, plain) end
  string.match = function(s, pattern, init) looked(s, pattern, init) return match(s, pattern, init) end
  string.gmatch = function(s, pattern) work_ = work_ + #s return gmatch(s, pattern) end
  string.gsub = function(s, ...) work_ = work_ + #s return gsub(s, ...) end
  string.sub = function(s, ...) local part = sub(s, ...) work_ = work_ + #part return part end
  string.rep = function(s, n) work_ = work_ + #s * n return rep(s, n) end
  string.byte = function(s, ...) work_ = work_ + 1 return byte(s, ...) end
  string.lower = function(s) work_ = work_ + #s return lower(s) end
  string.upper = function(s) work_ = work_ + #s return upper(s) end
  table.concat = function(...) local whole = concat(...) work_ = work_ + #whole return whole end
end
"""
_AFTER = f"""
if jit ~= nil then jit.off() end
local asked_, answered_ = envoy_on_request, envoy_on_response
function envoy_on_request(handle)
  work_ = 0
  collectgarbage()
  collectgarbage("stop")
  local before = collectgarbage("count")
  local fine, fault = pcall(asked_, handle)
  local made = (collectgarbage("count") - before) * 1024
  collectgarbage("restart")
  handle:streamInfo():dynamicMetadata():set("world", "work", tostring(math.floor(work_ + made)))
  if not fine then error(fault) end
end
function envoy_on_response(handle)
  if answered_ ~= nil then answered_(handle) end
  local seen = handle:streamInfo():dynamicMetadata():get("world")
  if seen ~= nil and seen["work"] ~= nil then handle:headers():add("{WORK}", seen["work"]) end
end
"""


def counted(config: str) -> str:
    return yaml.safe_dump(_counted(yaml.safe_load(config)), sort_keys=False)


def _counted(value: Any) -> Any:
    match value:
        case dict():
            return {key: _counted(one) for key, one in value.items()}
        case list():
            return [_counted(one) for one in value]
        case str() if "function envoy_on_request" in value:
            return _BEFORE + value + _AFTER
        case _:
            return value
