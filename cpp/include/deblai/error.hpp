// Errors that become the right Python exception: ValueError, TypeError, RuntimeError.
// Messages read "[operation] argument: expected ..., got ...".
#pragma once

#include <stdexcept>

namespace deblai {

// A value that the operation cannot take; deblai.errors.InvalidValue, a ValueError.
struct InvalidValue : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};

// An array of the wrong kind (dtype, rank, device); deblai.errors.InvalidType, a TypeError.
struct InvalidType : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};

// The environment asks for what this machine or build does not have; deblai.errors.BackendError.
struct BackendError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

}  // namespace deblai
