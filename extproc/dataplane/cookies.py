"""Our cookies leave the Cookie header, on every route; the others go on byte for byte, in order.

A few lines of Lua do it: header_to_metadata, which could do it with a regular expression, drops a header's value from
8 kB on, and with it every cookie of the application. Both cost the same.
"""

from envoy_data_plane.envoy.extensions.filters.http.lua.v3 import Lua

from extproc.dataplane.typed import text
from extproc.oidc.http import CookieNames

_CODE = """\
local prefixes = {%s}

local function ours(pair)
  local first = pair:find("[^ \\t]") or 1
  for _, prefix in ipairs(prefixes) do
    if pair:sub(first, first + #prefix - 1) == prefix then return true end
  end
  return false
end

-- A comma separates too: Envoy joins a second Cookie header of an HTTP/1.1 request with one.
function envoy_on_request(handle)
  local headers = handle:headers()
  local cookie = headers:get("cookie")
  if cookie == nil or cookie:find("extproc-", 1, true) == nil then return end
  local kept, taken = {}, false
  for mark, pair in cookie:gmatch("([;,]?)([^;,]*)") do
    if ours(pair) then
      taken = true
    elseif taken and #kept == 0 then
      kept[1] = pair:gsub("^[ \\t]+", "")
      if kept[1] == "" then kept[1] = nil end
    else
      kept[#kept + 1] = mark .. pair
    end
  end
  if not taken then return end
  if #kept == 0 then headers:remove("cookie") else headers:replace("cookie", table.concat(kept)) end
end
"""


def prefixes() -> tuple[str, ...]:
    """What the name of every cookie of ours begins with, of every application, on https and on http."""
    both = (CookieNames("", secure) for secure in (True, False))
    return tuple(prefix for names in both for prefix in (names.session, names.assertion, names.logins))


def strip() -> Lua:
    return Lua(default_source_code=text(_CODE % ", ".join(f'"{prefix}"' for prefix in prefixes())))
