-- SPDX-License-Identifier: Apache-2.0
-- wrk sends the devices' requests of a file, one after another and from the start again: wrk -s asks.lua URL -- FILE
-- Its lines are a signature, a tab and a body. It begins anywhere, so that rounds do not repeat each other.

local requests, at = {}, 0

function init(args)
    wrk.headers["Content-Type"] = "application/json"
    for line in io.lines(args[1]) do
        local signature, body = line:match("^(%S+)\t(.*)$")
        wrk.headers["X-MEN-Signature"] = signature
        requests[#requests + 1] = wrk.format("POST", nil, nil, body)
    end
    math.randomseed(os.time())
    at = math.random(#requests)
end

function request()
    at = at % #requests + 1
    return requests[at]
end
