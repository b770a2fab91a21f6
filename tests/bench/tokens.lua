-- SPDX-License-Identifier: Apache-2.0
-- wrk sends the tokens of a file, one after another and from the start again: wrk -s tokens.lua URL -- FILE

local requests, at = {}, 0

function init(args)
    for token in io.lines(args[1]) do
        wrk.headers["Authorization"] = "Bearer " .. token
        requests[#requests + 1] = wrk.format()
    end
end

function request()
    at = at % #requests + 1
    return requests[at]
end
