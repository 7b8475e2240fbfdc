"""The Cookie header is taken apart once, at the head of the chain, on every route.

Our cookies, of all applications, go on in a header of their own: `assertion` reads it natively, the
processor gets it instead of Cookie, and the router drops it. Cookie keeps the others, byte for
byte, in order. So nothing after this has to look at the whole Cookie header again: two regular
expressions over it cost Envoy more than this does.

The rules:

1. Only `;` separates cookies (RFC 6265 section 5.4), and several Cookie headers are several lists.
   Browsers allow a comma in a value, and ask for the rules of `__Host-` by the name alone: if a
   comma separated, a neighbouring host could plant a cookie of ours inside one of its own. What
   looks like a cookie of ours behind a comma goes to nobody.
2. A cookie is handed on only if it is exactly one of ours: with the prefix that the scheme of its
   application's url asks for, of an application of the settings, and with a value that holds no
   name. So what a neighbouring host plants without `__Host-` counts for nothing on https. What a
   value is made of, character by character, is for the processor to look at, and here for a
   session's mark and an assertion's end alone: each character costs Envoy some 60 instructions.
3. An assertion is handed on only beside the session that it was made for: see MARK in
   core/session.py. An answer that comes late may set the assertion of somebody who has signed out.
4. An assertion, or a session, that came twice makes no assertion count: somebody may have planted
   one. The processor then decides by the session.
5. One pass, and at most so many of each kind: what is beyond goes to nobody, of logins the oldest
   (browsers put the newest last). Work is linear in the length of the header, which
   `gateway.max_request_headers_kb` bounds; here once more, because Envoy 1.36 does not count the
   crumbs of a Cookie header in HTTP/2.

Lua, because header_to_metadata, which can rewrite a header with a regular expression, drops values
from 8 kB on, and with them every cookie of the application. A fault in it hands on nothing to the
processor: then nobody is signed in.
"""

import betterproto2
from envoy_data_plane.envoy.extensions.filters.http.lua.v3 import Lua, LuaPerRoute

from extproc.contract import COOKIES
from extproc.core.assertion import FIRST_CLAIM, MARK_AT, SIGNATURE
from extproc.core.session import ID_LENGTH, MARK
from extproc.envoyconfig.builders import text
from extproc.settings import Settings

_KEEP = "keep"
_CODE = """\
local find, byte, sub, match, gsub, concat = string.find, string.byte, string.sub, string.match, string.gsub, table.concat

-- the applications; true: its cookies begin with __Host-
local applications = {%(applications)s}

-- what follows the kind in a name, and how many of an application are handed on; of logins, how many of all applications, the newest
local kinds = {
  session = {"^([^.]+)$", 3},
  assertion = {"^([^.]+)$", 1},
  login = {"^([^.]+)%%-%%x%%x%%x%%x%%x%%x%%x%%x$", 24},
  data = {"^([^.]+)%%.%%x+%%.%%d+%%.%%d$", 12},
  used = {"^([^.]+)%%.%%x+$", 4},
}

-- what is known of the cookies of one request
local function nothing()
  return {ours = {}, logins = {}, counts = {}, marks = {}, assertions = {}, asserted = {}}
end

-- whether a value holds this character
local function holds(value, char) return find(value, char, 1, true) ~= nil end

-- the name and the value of a pair that begins with no blank; nil where we could not have made the value
local function split(pair)
  local equals, last = find(pair, "=", 1, true), #pair
  if equals == nil or last > 4300 then return end
  while byte(pair, last) == 32 or byte(pair, last) == 9 do last = last - 1 end
  local value = sub(pair, equals + 1, last)
  if value == "" or holds(value, "=") or holds(value, ",") or holds(value, " ") then return end
  return sub(pair, 1, equals - 1), value
end

-- jwt_authn leaves out empty pieces and what stands before a token: so an assertion begins as a token does, and ends with its signature
local function is_token(value)
  return byte(value, 1) == 101 and match(sub(value, -%(signature)d), "^%%.[%%w_-]+$")
end

-- the mark of a session, if it can be one
local function mark_of(value)
  return #value == %(length)d and byte(value, %(mark)d + 1) == 46 and sub(value, 1, %(mark)d)
end

-- notes a cookie of ours by its kind
local function note(known, kind, application, cookie, value)
  if kind == "login" then
    known.logins[#known.logins + 1] = cookie
    return
  end
  local counted = kind .. application
  local count = (known.counts[counted] or 0) + 1
  known.counts[counted] = count
  if kind == "assertion" then
    if count == 1 then known.asserted[#known.asserted + 1] = application end
    known.assertions[application] = count == 1 and {cookie, value}
    return
  end
  if kind == "session" then known.marks[application] = count == 1 and mark_of(value) end
  if count <= kinds[kind][2] then known.ours[#known.ours + 1] = cookie end
end

-- takes a cookie of ours, if it is exactly one
local function take(known, pair, secure)
  local name, value = split(pair)
  if name == nil then return end
  local kind, rest = match(name, "^(%%l+)%%-(.+)$", secure and 16 or 9)
  if kind == nil then return end
  local application = match(rest, kinds[kind][1])
  if application == nil or applications[application] ~= secure then return end
  if kind == "assertion" and not is_token(value) then return end
  if kind == "session" and not match(sub(value, 1, %(length)d + 1), "^[%%w_.-]+$") then return end
  note(known, kind, application, name .. "=" .. value, value)
end

-- whether an assertion is of the session beside it: the mark stands at the head of both
local function belongs(known, application)
  local mark, assertion = known.marks[application], known.assertions[application]
  if not mark or not assertion then return false end
  local payload = find(assertion[2], ".", 1, true)
  return sub(assertion[2], payload + 1, payload + %(mark_end)d) == "%(first_claim)s" .. mark
end

-- jwt_authn takes what follows the name to the end of the value as the token: each assertion is the last in a value
local function hand_on(headers, known)
  local logins, ours = known.logins, known.ours
  for i = #logins > kinds.login[2] and #logins - kinds.login[2] + 1 or 1, #logins do ours[#ours + 1] = logins[i] end
  local value = concat(ours, "; ")
  local first = true
  for _, application in ipairs(known.asserted) do
    if belongs(known, application) then
      local assertion = known.assertions[application][1]
      if first and value ~= "" then assertion = value .. "; " .. assertion end
      headers:add("%(header)s", assertion)
      first = false
    end
  end
  if first and value ~= "" then headers:add("%(header)s", value) end
end

-- adds a piece of Cookie to what is kept of it; the first cookie has no separator before it
local function keep(kept, cookie, first, last)
  if last < first then return end
  local piece = sub(cookie, first, last)
  if #kept == 0 and first > 1 then piece = gsub(piece, "^[;,][ \\t]*", "") end
  if piece ~= "" then kept[#kept + 1] = piece end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local lines = headers:getNumValues("cookie")
  if lines == 0 then return end
  local cookie = headers:getAtIndex("cookie", 0)
  if lines > 1 then
    local all = {cookie}
    for i = 2, lines do all[i] = headers:getAtIndex("cookie", i - 1) end
    cookie = concat(all, "; ")
  end
  if #cookie > %(bound)d then return handle:respond({[":status"] = "431"}, "The cookies are too long.") end
  local at = find(cookie, "extproc-", 1, true)
  if at == nil then return end
  local from = 1  -- behind the last cookie of ours
  local known, kept = nothing(), {}
  while at do
    local first, secure = at, false
    if byte(cookie, at - 1) == 45 and sub(cookie, at - 7, at - 1) == "__Host-" then first, secure = at - 7, true end
    local before = first - 1
    local mark = byte(cookie, before)
    while mark == 32 or mark == 9 do
      before = before - 1
      mark = byte(cookie, before)
    end
    local next = at + 8
    if (mark == nil or mark == 59 or mark == 44) and kinds[match(cookie, "^(%%l+)%%-", next)] then
      next = find(cookie, ";", next, true) or #cookie + 1
      if mark ~= 44 then take(known, sub(cookie, first, next - 1), secure) end
      keep(kept, cookie, from, before - 1)
      from = next
    end
    at = find(cookie, "extproc-", next, true)
  end
  if from == 1 then return end
  hand_on(headers, known)
%(send)s
"""
_STRIP = """\
  keep(kept, cookie, from, #cookie)
  headers:remove("cookie")
  if #kept > 0 then headers:add("cookie", concat(kept)) end
end"""


def cookies(settings: Settings) -> Lua:
    return Lua(
        default_source_code=text(_code(settings, _STRIP)),
        source_codes={_KEEP: text(_code(settings, "end"))},
    )


def keeping() -> betterproto2.Message:
    """For a route whose application gets its Cookie header as it came, ours included."""
    return LuaPerRoute(name=_KEEP)


def _code(settings: Settings, send: str) -> str:
    known = (
        f'["{name}"] = {"true" if settings.url(name).startswith("https://") else "false"}'
        for name, application in settings.applications.items()
        if not application.exclude
    )
    return _CODE % {
        "applications": ", ".join(known),
        "header": COOKIES,
        "mark": MARK,
        "length": MARK + 1 + ID_LENGTH,
        "signature": 1 + SIGNATURE,
        "first_claim": FIRST_CLAIM,
        "mark_end": MARK_AT + MARK,
        "send": send,
        "bound": settings.gateway.max_request_headers_kb * 1024,
    }
