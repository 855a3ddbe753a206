// Checks of input arrays; each throws InvalidValue naming the argument and the first bad entry.
#pragma once

#include "deblai/error.hpp"
#include "deblai/parallel.hpp"
#include "deblai/view.hpp"

namespace deblai {

// Every entry finite. `where` is "[operation] argument".
template <class T>
void require_finite(const char* where, Matrix<const T> points, Team& team);

// Every weight finite and nonnegative, the sum positive and finite. Returns the sum.
template <class T>
double require_mass(const char* where, Vector<const T> weights);

// The errors of these checks, for whoever finds a bad entry elsewhere (on a device).
InvalidValue not_finite(const char* where, double value, index_t row, index_t col);
InvalidValue not_a_weight(const char* where, double value, index_t i);
InvalidValue not_a_mass(const char* where, double total);

}  // namespace deblai
