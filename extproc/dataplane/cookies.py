"""The Cookie header is taken apart once, at the head of the chain, on every route.

Our cookies, of all applications, go on in a header of their own: `assertion` reads it natively, the processor gets it
instead of Cookie, and the router drops it. Cookie keeps the others, byte for byte, in order. So nothing after this has to
look at the whole Cookie header again: two regular expressions over it cost Envoy more than this does.

An assertion cookie that stands twice, or whose name stands within another cookie of ours, is handed on to nobody: somebody
may have planted one, and jwt_authn would find either. The processor then decides by the session.

Lua, because header_to_metadata, which can rewrite a header with a regular expression, drops values from 8 kB on, and with
them every cookie of the application. A fault in it hands on nothing: then nobody is signed in.
"""

import betterproto2
from envoy_data_plane.envoy.extensions.filters.http.lua.v3 import Lua, LuaPerRoute

from extproc.contract import COOKIES
from extproc.dataplane.typed import text
from extproc.oidc.http import COOKIE_KINDS as KINDS

_KEEP = "keep"
_CODE = """\
local find, byte, sub, match, gsub = string.find, string.byte, string.sub, string.match, string.gsub
local kinds = {%s}

local function join(list, mark, more)
  if list == nil then return more else return list .. mark .. more end
end

-- adds a piece of Cookie to what is kept of it; the first cookie has no separator before it
local function keep(kept, cookie, first, last)
  if last < first then return kept end
  local piece = sub(cookie, first, last)
  if kept ~= nil then return kept .. piece end
  if first > 1 then piece = gsub(piece, "^[;,][ \\t]*", "") end
  if piece ~= "" then return piece end
end

-- jwt_authn takes what follows the name to the end of the value as the token: each assertion is the last in a value
local function hand_on(headers, others, assertions)
  if assertions == nil then
    if others ~= nil then headers:replace("%s", others) end
    return
  end
  headers:replace("%s", join(others, "; ", assertions[1]))
  for i = 2, #assertions do headers:add("%s", assertions[i]) end
end

-- A comma separates too: Envoy joins a second Cookie header of an HTTP/1.1 request with one.
function envoy_on_request(handle)
  local headers = handle:headers()
  local cookie = headers:get("cookie")
  if cookie == nil then return end
  local at = find(cookie, "extproc-", 1, true)
  if at == nil then return end
  local comma = find(cookie, ",", 1, true)
  local from = 1  -- behind the last cookie of ours
  local kept, others, assertions, names, planted
  while at do
    local kind = kinds[match(cookie, "^%%l+%%-", at + 8)]
    local first = at
    if byte(cookie, at - 1) == 45 and sub(cookie, at - 7, at - 1) == "__Host-" then first = at - 7 end
    local before = first - 1
    local mark = byte(cookie, before)
    while mark == 32 or mark == 9 do
      before = before - 1
      mark = byte(cookie, before)
    end
    if kind ~= nil and (mark == nil or mark == 59 or mark == 44) then
      local stop = find(cookie, ";", at, true) or #cookie + 1
      if comma then
        local other = find(cookie, ",", at, true)
        if other and other < stop then stop = other end
      end
      local pair = sub(cookie, first, stop - 1)
      if kind == 2 then
        local name = match(pair, "^[^=]*=?")
        if names ~= nil and find(names, name, 1, true) then planted = true end
        names = join(names, ";", name)
        if assertions == nil then assertions = {pair} else assertions[#assertions + 1] = pair end
      else
        others = join(others, "; ", pair)
      end
      kept = keep(kept, cookie, from, before - 1)
      from = stop
    elseif kind == 2 and at < from then
      planted = true
    end
    at = find(cookie, "extproc-", at + 8, true)
  end
  if from == 1 then return end
  if planted then
    assertions = nil
    if others ~= nil then others = gsub(others, "extproc%%-assertion%%-", "extproc-planted-") end
  end
  hand_on(headers, others, assertions)
%send
"""
_STRIP = """\
  kept = keep(kept, cookie, from, #cookie)
  if kept == nil then headers:remove("cookie") else headers:replace("cookie", kept) end
"""


def cookies() -> Lua:
    return Lua(default_source_code=text(_code(_STRIP)), source_codes={_KEEP: text(_code(""))})


def keeping() -> betterproto2.Message:
    """For a route whose application gets its Cookie header as it came, ours included."""
    return LuaPerRoute(name=_KEEP)


def _code(end: str) -> str:
    kinds = ", ".join(f'["{kind}"] = {2 if kind == "assertion-" else 1}' for kind in KINDS)
    return _CODE % (kinds, COOKIES, COOKIES, COOKIES, end)
