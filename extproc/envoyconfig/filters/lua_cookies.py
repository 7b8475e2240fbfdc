"""`cookies`: a Lua filter that parses the Cookie header once, first in the chain, on every route.

It moves the processor's cookies, of all applications, into a header of their own: `assertion` reads
that header, the processor gets it instead of Cookie, and the router removes it. Cookie keeps the
others in their order, byte for byte. So no later filter has to search the whole Cookie header: two
regular expressions over it cost Envoy more than this filter does.

The rules:

1. Only `;` separates cookies (RFC 6265 section 5.4), and several Cookie headers are several lists.
   Browsers allow a comma in a value, and enforce the rules of `__Host-` by the name alone: if a
   comma separated cookies, a neighbouring host could plant one of the processor's cookies inside a
   cookie of its own. A cookie of the processor's after a comma is dropped.
2. A cookie is moved only if it is exactly one of the processor's: with the prefix that the scheme
   of its application's url requires, of an application of the settings, and with a value that
   contains no name. So a cookie that a neighbouring host plants without `__Host-` has no effect on
   https. The processor checks the characters of a value; this filter checks only a session's mark
   and an assertion's end, because each character costs Envoy some 60 instructions.
3. An assertion is moved only together with the session that it was made for (MARK in
   core/session.py). Otherwise a late response could set the assertion of a user who has signed
   out.
4. Two assertions, or two sessions, of an application invalidate its assertion, because one of them
   may be planted. The processor then decides by the session.
5. One pass, and a limit for each kind: cookies beyond it are dropped, of logins the oldest
   (browsers put the newest last). The work is linear in the length of the header, which
   `gateway.max_request_headers_kb` bounds. This filter enforces that bound, because it can have the
   browser delete what a neighbouring host planted (Clear-Site-Data), and because Envoy 1.36 does
   not count the crumbs of a Cookie header in HTTP/2.

It is Lua, because header_to_metadata, which can rewrite a header with a regular expression, drops
values of 8 kB and more, and with them every cookie of the application. If the Lua fails, the
processor gets no cookie, so no user is signed in.
"""

import betterproto2
from envoy_data_plane.envoy.config.core.v3 import DataSource
from envoy_data_plane.envoy.extensions.filters.http.lua.v3 import Lua, LuaPerRoute

from extproc.contract import COOKIES
from extproc.core.assertion import FIRST_CLAIM, MARK_AT, SIGNATURE
from extproc.core.login import MAX_OPENED
from extproc.core.session import ID_LENGTH, MARK
from extproc.envoyconfig.builders import text
from extproc.settings import Settings

_KEEP = "keep"
_BODILESS = "bodiless"
# A body is dropped as it comes. To refuse it, Envoy would have to wait for its end, and clients could
# have it keep a buffer for each of their requests.
_NO_BODY = """\
function envoy_on_request(handle)
  for piece in handle:bodyChunks() do piece:setBytes("") end
end"""
_CODE = """\
local find, byte, sub, match, gsub, concat = string.find, string.byte, string.sub, string.match, string.gsub, table.concat

-- The applications. True: its cookies begin with __Host-.
local applications = {%(applications)s}

-- For each kind of cookie: what follows the kind in a name, and how many of an application are
-- moved. The limit of logins is for all applications together, and keeps the newest.
local kinds = {
  session = {"^([^.]+)$", 3},
  assertion = {"^([^.]+)$", 1},
  login = {"^([^.]+)%%-%%x%%x%%x%%x%%x%%x%%x%%x$", %(logins)d},
  data = {"^([^.]+)%%.%%x+%%.%%d+%%.%%d$", 12},
  used = {"^([^.]+)%%.%%x+$", 4},
}

-- The state of one request.
local function nothing()
  return {ours = {}, logins = {}, counts = {}, marks = {}, assertions = {}, asserted = {}}
end

-- Whether a value contains this character.
local function holds(value, char) return find(value, char, 1, true) ~= nil end

-- The name and value of a pair without leading spaces; nil if the processor makes no such value.
local function split(pair)
  local equals, last = find(pair, "=", 1, true), #pair
  if equals == nil or last > 4300 then return end
  while byte(pair, last) == 32 or byte(pair, last) == 9 do last = last - 1 end
  local value = sub(pair, equals + 1, last)
  if value == "" or holds(value, "=") or holds(value, ",") or holds(value, " ") then return end
  return sub(pair, 1, equals - 1), value
end

-- Whether a value begins as a token does, and ends with a signature. jwt_authn ignores empty parts,
-- and text before a token, so it would accept other values as well.
local function is_token(value)
  return byte(value, 1) == 101 and match(sub(value, -%(signature)d), "^%%.[%%w_-]+$")
end

-- The mark of a session; false if the value cannot be a session's.
local function mark_of(value)
  return #value == %(length)d and byte(value, %(mark)d + 1) == 46 and sub(value, 1, %(mark)d)
end

-- Records a cookie by its kind.
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

-- Records a pair if it is exactly one of the processor's cookies.
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

-- Whether an application's assertion is of its session: both begin with the same mark.
local function belongs(known, application)
  local mark, assertion = known.marks[application], known.assertions[application]
  if not mark or not assertion then return false end
  local payload = find(assertion[2], ".", 1, true)
  return sub(assertion[2], payload + 1, payload + %(mark_end)d) == "%(first_claim)s" .. mark
end

-- Adds the header with the processor's cookies. jwt_authn reads a token up to the end of the value,
-- so each assertion is the last cookie of a value.
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

-- Adds a part of the Cookie header to what remains of it. The first cookie has no separator before
-- it.
local function keep(kept, cookie, first, last)
  if last < first then return end
  local piece = sub(cookie, first, last)
  if #kept == 0 and first > 1 then piece = gsub(piece, "^[;,][ \\t]*", "") end
  if piece ~= "" then kept[#kept + 1] = piece end
end

-- Refuses cookies that are too long. A browser deletes its cookies if a user opened a page: a picture
-- or a script on some page must sign no user out.
local function refuse(handle, headers)
  local answer = {[":status"] = "431"}
  if headers:get("sec-fetch-mode") == "navigate" and headers:get("sec-fetch-dest") == "document" then
    answer["clear-site-data"] = '"cookies"'
  end
  handle:respond(answer, "The cookies are too long.")
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
  if #cookie > %(bound)d then return refuse(handle, headers) end
  local at = find(cookie, "extproc-", 1, true)
  if at == nil then return end
  -- The position after the last of the processor's cookies.
  local from = 1
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
    """The filter, with a second script for routes that keep the Cookie header, and a third one for
    preflights that an application gets.
    """
    return Lua(
        default_source_code=text(_code(settings, _STRIP)),
        source_codes={_KEEP: text(_code(settings, "end")), **_of_preflights(settings)},
        # The route is that of the request as it came. Without its cookies, a request of a signed-in
        # user looks like a preflight, and another route's script has run by then.
        clear_route_cache=False,
    )


def keeping() -> betterproto2.Message:
    """The configuration of a route whose application gets the whole Cookie header, unchanged."""
    return LuaPerRoute(name=_KEEP)


def bodiless() -> betterproto2.Message:
    """The configuration of a route of requests without cookies, which drops a body."""
    return LuaPerRoute(name=_BODILESS)


def _of_preflights(settings: Settings) -> dict[str, DataSource]:
    passed = any(each.preflight == "pass" for each in settings.applications.values())
    return {_BODILESS: text(_NO_BODY)} if passed else {}


def _code(settings: Settings, send: str) -> str:
    """The Lua script; `send` is its end, which may replace the Cookie header."""
    return _CODE % {
        "applications": ", ".join(_application(settings, name) for name in settings.protected),
        "header": COOKIES,
        "mark": MARK,
        "logins": MAX_OPENED,
        "length": MARK + 1 + ID_LENGTH,
        "signature": 1 + SIGNATURE,
        "first_claim": FIRST_CLAIM,
        "mark_end": MARK_AT + MARK,
        "send": send,
        "bound": settings.gateway.max_request_headers_kb * 1024,
    }


def _application(settings: Settings, name: str) -> str:
    secure = "true" if settings.url(name).startswith("https://") else "false"
    return f'["{name}"] = {secure}'
