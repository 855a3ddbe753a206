#include "sort-inl.cuh"

namespace deblai::cuda {

template std::size_t sort_bytes<double>(const Call&, const Segments&, bool);
template int sort(const Call&, const Segments&, const SortBuffers<double>&, void*, std::size_t);

}  // namespace deblai::cuda
