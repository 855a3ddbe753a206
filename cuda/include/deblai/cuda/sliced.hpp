// Sliced Wasserstein distances on a GPU: what deblai/sliced.hpp says, for arrays in device memory.
//   W_p^p(theta) = int_0^1 |F_theta^-1(t) - G_theta^-1(t)|^p dt,   value_p = mean over theta
// Rabin, Peyre, Delon and Bernot, SSVM 2011; Bonneel, Rabin, Peyre and Pfister, JMIV 2015. The monotone coupling is
// walked by many threads at once, cut along its diagonals as in the merge path of Odeh, Green, Mwassi, Shmueli and
// Birk, 2012. Sums run in an order that depends on the sizes alone: two runs are equal to the bit.
#pragma once

#include "deblai/cuda/error.hpp"
#include "deblai/sliced.hpp"

namespace deblai::cuda::sliced {

// Arrays of `problem` and `output` are device pointers with any strides, but for output.cost, L doubles of the host.
// Gradients are added to what output.grad_* hold. `stream` is a cudaStream_t of `device`; the call returns when its
// work is done. Between chunks of directions poll(context) is asked: true stops.
// Throws InvalidValue as the CPU kernel does, Error, and OutOfMemory with the bytes wanted.
//
// Workspace: O((n + m) * chunk) bytes, at most about 1 GiB or a quarter of the free memory, but at least one direction:
//   (n + m) * (2 sizeof(T) + 8 with weights or gradients + 8 with weights + 8 with gradients in weights) * chunk
template <class T>
deblai::sliced::Estimate wasserstein(const deblai::sliced::Problem<T>& problem, const deblai::sliced::Output<T>& output,
                                     void* stream, int device, bool (*poll)(void*) = nullptr, void* context = nullptr);

}  // namespace deblai::cuda::sliced
