-- SPDX-License-Identifier: Apache-2.0
-- wrk posts one body: wrk -s post.lua URL -- BODY [CONTENT_TYPE]

local text

function init(args)
    if args[2] then
        wrk.headers["Content-Type"] = args[2]
    end
    text = wrk.format("POST", nil, nil, args[1])
end

function request()
    return text
end
