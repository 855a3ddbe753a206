// Problems whose edges are given: what multimarginal.hpp says, by messages along a junction tree.
#pragma once

#include "deblai/multimarginal-minimum.hpp"

namespace deblai::multimarginal {

template <class T>
Progress graph_sinkhorn(const Problem<T>& problem, const Schedule& schedule, double* potentials, double* errors,
                        double* values, const Control& control);
template <class T>
Summary graph_evaluate(const Problem<T>& problem, const double* potentials, const Output<T>& output,
                       const Control& control);
template <class T>
std::size_t graph_workspace_bytes(const Problem<T>& problem, int threads, int memory);
template <class T>
Minimum graph_minimum(const Problem<T>& problem, const double* potentials, const Control& control = {});
// Bytes that it allocates at most.
template <class T>
std::size_t graph_minimum_bytes(const Problem<T>& problem, int threads);

}  // namespace deblai::multimarginal
