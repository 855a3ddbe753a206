// What a running task may ask: has somebody asked the call to stop? Free of std, so that the files
// compiled once per instruction set can include it.
#pragma once

namespace deblai {

class Stop {
public:
    virtual bool requested(int worker) const = 0;

protected:
    ~Stop() = default;
};

}  // namespace deblai
