"""What runs inside Redis or Valkey: a script for each thing asked of the store, so that it is one atomic round trip.

A script gets one message (MessagePack) beside its keys and decides by the server's clock. The arithmetic is that of
`store_counts.py`, step by step. Must not know connections.

Kept are: of a rate `units when` as text, of slots a sorted set of holders by the end of their lease, of a sum its
dollars. Everything expires by itself.
"""

from __future__ import annotations

_BEGIN = """
local told = cmsgpack.unpack(ARGV[1])
local now = told[1]
if now == 0 then -- but in tests
  local time = redis.call('TIME')
  now = time[1] + time[2] / 1000000
end

local function text(number) return string.format('%.17g', number) end
local function ms(seconds) return text(math.ceil(math.min(seconds, 1e11) * 1000)) end

local function keep_level(key, level, limit, period)
  if level > 0 then
    redis.call('SET', key, text(level) .. ' ' .. text(now), 'PX', ms(level * period / limit + 1))
  else
    redis.call('DEL', key)
  end
end

local function level_of(key, limit, period)
  local kept = redis.call('GET', key)
  if not kept then return 0 end
  local level, at = string.match(kept, '^(%S+) (%S+)$')
  level, at = tonumber(level), tonumber(at)
  if at > now then -- the clock jumped back: it flows on from here
    keep_level(key, level, limit, period)
    at = now
  end
  return math.max(0, level - (now - at) * limit / period)
end

local function keep_sum(key, sum, ends)
  local left = ends + 86400 - now -- what is settled late still finds it
  if left > 0 then redis.call('SET', key, text(sum), 'PX', ms(left)) end
end

local function hold(key, lease, holders)
  for _, holder in ipairs(holders) do redis.call('ZADD', key, text(now + lease), holder) end
  redis.call('PEXPIRE', key, ms(lease + 1))
end
"""

TAKE = (
    _BEGIN
    + """
local holder, lease, claims = told[2], told[3], told[4]
local levels, slots, sums = {}, {}, {} -- what is written if all fits: later claims see what earlier ones take
local look = {} -- whether a claim fits, how it stands, how it stands when it is taken

function look.rate(k, limit, period, cost)
  local key, unit = KEYS[k], period / limit
  local level = levels[key] and levels[key][1] or level_of(key, limit, period)
  local left = math.max(0, limit - level)
  local lacking = level + cost - limit
  if lacking > 1e-6 then return false, {0, left, lacking * unit, level * unit, ''} end
  levels[key] = {level + cost, limit, period}
  return true, {1, left, 0, level * unit, ''}, {1, math.max(0, limit - level - cost), 0, (level + cost) * unit, ''}
end

function look.slots(k, limit)
  local key, last = KEYS[k], text(now + lease)
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. last, '+inf')) do
    redis.call('ZADD', key, last, other) -- the clock jumped back: no lease is longer than a lease
  end
  local count = redis.call('ZCOUNT', key, '(' .. text(now), '+inf')
  local ends = redis.call('ZSCORE', key, holder)
  local mine = ends and tonumber(ends) > now
  if slots[key] and not mine then mine, count = true, count + 1 end
  local left = math.max(0, limit - count)
  if mine then return true, {1, left, 0, 0, ''}, {1, left, 0, 0, ''} end
  if count >= limit then return false, {0, left, 1, 0, ''} end
  slots[key] = true
  return true, {1, left, 0, 0, ''}, {1, left - 1, 0, 0, ''}
end

function look.spend(k, limit, windows, cost)
  local n = #windows
  for i, window in ipairs(windows) do
    if window[2] > now then n = i break end
  end
  local key, label, ends = KEYS[k + n - 1], windows[n][1], windows[n][2]
  local wait = math.max(0, ends - now)
  local sum = sums[key] and sums[key][1] or tonumber(redis.call('GET', key) or 0)
  if limit - sum <= 1e-9 then return false, {0, 0, wait, wait, label} end
  sums[key] = {sum + cost, ends}
  return true, {1, limit - sum, 0, wait, label}, {1, math.max(0, limit - sum - cost), 0, wait, label}
end

local function look_at(claim) return look[claim[1]](claim[2], claim[4], claim[5], claim[6]) end

local standings, refused = {}, false
for i, claim in ipairs(claims) do
  local fits, seen, taken = look_at(claim)
  standings[i] = taken or seen
  if not fits and not claim[3] then refused = true end
end
if refused then -- nothing is taken: what fits stands as if it had been asked alone
  for i, claim in ipairs(claims) do
    levels, slots, sums = {}, {}, {}
    if standings[i][1] == 1 then
      local _, seen = look_at(claim)
      standings[i] = seen
    end
  end
  return cmsgpack.pack(standings)
end

for key, level in pairs(levels) do keep_level(key, level[1], level[2], level[3]) end
for key in pairs(slots) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', text(now))
  hold(key, lease, {holder})
end
for key, sum in pairs(sums) do keep_sum(key, sum[1], sum[2]) end
return cmsgpack.pack(standings)
"""
)

SETTLE = (
    _BEGIN
    + """
local holder, uses = told[2], told[3]
for i, use in ipairs(uses) do
  local kind, key = use[1], KEYS[i]
  if kind == 'rate' then
    local limit, period = use[2], use[3]
    keep_level(key, level_of(key, limit, period) + use[4], limit, period)
  elseif kind == 'slots' then
    redis.call('ZREM', key, holder)
  else
    local cost, used, ends = use[2], use[3], use[4]
    local sum = redis.call('GET', key)
    keep_sum(key, sum and math.max(0, tonumber(sum) + used - cost) or used, ends)
  end
end
"""
)

RENEW = (
    _BEGIN
    + """
local lease, holders = told[2], told[3]
for i, key in ipairs(KEYS) do hold(key, lease, holders[i]) end
"""
)

ADD = """
local sum = redis.call('INCRBYFLOAT', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return sum
"""
