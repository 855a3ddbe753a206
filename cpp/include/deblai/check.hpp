// Checks of input arrays; each throws InvalidValue naming the argument and the first bad entry.
#pragma once

#include "deblai/parallel.hpp"
#include "deblai/view.hpp"

namespace deblai {

// Every entry finite. `where` is "[operation] argument".
template <class T>
void require_finite(const char* where, Matrix<const T> points, Team& team);

// Every weight finite and nonnegative, the sum positive and finite. Returns the sum.
template <class T>
double require_mass(const char* where, Vector<const T> weights);

}  // namespace deblai
