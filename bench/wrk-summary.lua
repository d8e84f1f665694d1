-- Called before the one request that is sent over and over is made. args[1]: bytes to post, or 0.
function init(args)
  local bytes = tonumber(args[1])
  if bytes > 0 then
    wrk.method = "POST"
    wrk.body = string.rep("x", bytes)
  end
end

-- What wrk counted, exact and on one line; nothing here runs per request.
function done(summary, latency, requests)
  io.write(string.format(
    '{"requests":%d,"bytes":%d,"microseconds":%d,"errors":%d,"badStatus":%d,"p50":%d,"p99":%d}\n',
    summary.requests, summary.bytes, summary.duration,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    summary.errors.status, latency:percentile(50), latency:percentile(99)))
end
