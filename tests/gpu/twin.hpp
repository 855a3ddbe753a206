// What the tests of CUDA kernels share: counted checks, arrays that are on the host and on the device, and a main that
// is skipped (77) where there is no device.
#pragma once

#include <cuda_runtime.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "deblai/cuda/device.hpp"
#include "deblai/cuda/error.hpp"
#include "deblai/error.hpp"
#include "deblai/rng.hpp"

namespace deblai::test {

inline int checks = 0, failures = 0;

inline void expect(bool ok, const std::string& what) {
    ++checks;
    if (ok) return;
    ++failures;
    std::printf("FAILED %s\n", what.c_str());
}

inline void check(cudaError_t status) {
    if (status != cudaSuccess) throw deblai::cuda::Error(cudaGetErrorString(status));
}

// The same values on the host and on the device.
template <class T>
struct Twin {
    std::vector<T> host;
    T* device = nullptr;

    explicit Twin(std::vector<T> values) : host(std::move(values)) {
        if (host.empty()) return;
        check(cudaMalloc(reinterpret_cast<void**>(&device), host.size() * sizeof(T)));
        send();
    }
    ~Twin() { cudaFree(device); }
    Twin(const Twin&) = delete;
    Twin& operator=(const Twin&) = delete;

    T* on(bool gpu) { return gpu ? device : host.data(); }
    const T* on(bool gpu) const { return gpu ? device : host.data(); }
    void send() const {
        if (device) check(cudaMemcpy(device, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice));
    }
    std::vector<T> fetch() const {
        std::vector<T> values(host.size());
        if (device) check(cudaMemcpy(values.data(), device, host.size() * sizeof(T), cudaMemcpyDeviceToHost));
        return values;
    }
};

template <class T>
std::vector<T> uniform(index_t count, std::uint64_t seed, double scale = 1, double shift = 0) {
    const deblai::Philox philox(seed);
    std::vector<T> out(count);
    for (index_t i = 0; i < count; ++i) {
        const auto b = philox(i);
        out[i] = static_cast<T>(shift + scale * deblai::uniform_open(b.word[0], b.word[1]));
    }
    return out;
}

template <class T>
std::vector<T> gaussian(index_t count, std::uint64_t seed) {
    const deblai::Philox philox(seed);
    std::vector<T> out(count);
    for (index_t i = 0; i < count; ++i) {
        const auto b = philox(i);
        const double r = std::sqrt(-2 * std::log(deblai::uniform_open(b.word[0], b.word[1])));
        out[i] = static_cast<T>(r * std::cos(2 * 3.14159265358979 * deblai::uniform_open(b.word[2], b.word[3])));
    }
    return out;
}

template <class T>
double relative_error(const std::vector<T>& got, const std::vector<T>& want) {
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        difference += std::pow(static_cast<double>(got[i]) - static_cast<double>(want[i]), 2);
        norm += std::pow(static_cast<double>(want[i]), 2);
    }
    return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

template <class F>
std::string message(const F& f) {
    try {
        f();
    } catch (const deblai::InvalidValue& e) {
        return e.what();
    }
    return "no error";
}

// Usage: program [quick]; quick leaves out large shapes, for compute-sanitizer and the emulation.
template <class F>
int run(int argc, char** argv, const F& tests) {
    if (cuda::device_count() == 0) {
        std::printf("skipped: no CUDA device\n");
        return 77;
    }
    try {
        std::printf("%s\n", cuda::device_name(0).c_str());
        tests(argc > 1 && std::string(argv[1]) == "quick");
    } catch (const std::exception& e) {
        expect(false, std::string("exception: ") + e.what());
    }
    std::printf("%d checks, %d failed\n", checks, failures);
    return failures == 0 ? 0 : 1;
}

}  // namespace deblai::test
