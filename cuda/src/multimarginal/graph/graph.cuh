// Problems whose edges are given: what deblai/cuda/multimarginal.hpp says, by messages along a junction tree.
#pragma once

#include "deblai/cuda/multimarginal.hpp"

namespace deblai::cuda::multimarginal {

template <class T>
deblai::multimarginal::Progress graph_sinkhorn(const deblai::multimarginal::Problem<T>& problem,
                                               const deblai::multimarginal::Schedule& schedule, double* potentials,
                                               double* errors, double* values, void* stream, int device,
                                               bool (*poll)(void*), void* context);
template <class T>
deblai::multimarginal::Summary graph_evaluate(const deblai::multimarginal::Problem<T>& problem,
                                              const double* potentials, const deblai::multimarginal::Output<T>& output,
                                              void* stream, int device, bool (*poll)(void*), void* context);

}  // namespace deblai::cuda::multimarginal
