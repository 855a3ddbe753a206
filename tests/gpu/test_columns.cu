// The CUDA kernel that prices moves of particles against the CPU one, in one process. Compiled against
// tests/gpu/emulated it runs on the host. Usage and exit status: see twin.hpp.
#include "deblai/columns.hpp"

#include "deblai/cuda/columns.hpp"
#include "twin.hpp"

namespace {

using namespace deblai::test;
using deblai::index_t;

struct Case {
    index_t n, count, m;
    int infinite;  // 0: none, 1: the diagonal, 2: more
};

void compare(const Case& c) {
    std::vector<double> costs = gaussian<double>(c.n * c.n, 1);
    for (index_t i = 0; i < c.n; ++i)
        for (index_t j = 0; j <= i; ++j) {
            const bool forbidden = (c.infinite > 0 && i == j) || (c.infinite > 1 && (i * j) % 7 == 3);
            costs[i * c.n + j] = costs[j * c.n + i] = forbidden ? INFINITY : costs[i * c.n + j];
        }
    const deblai::Philox philox(3);
    std::vector<std::int32_t> parents;
    for (std::uint64_t draw = 0; static_cast<index_t>(parents.size()) < c.m * c.count && draw < 200000; ++draw) {
        std::vector<std::int32_t> sites;
        double sum = 0;
        for (index_t k = 0; k < c.count; ++k) {
            sites.push_back(static_cast<std::int32_t>(philox(draw * c.count + k).word[0] % c.n));
            for (index_t l = 0; l < k; ++l) sum += costs[sites[k] * c.n + sites[l]];
        }
        if (std::isfinite(sum)) parents.insert(parents.end(), sites.begin(), sites.end());
    }
    const index_t m = static_cast<index_t>(parents.size()) / c.count;
    const Twin<double> matrix(costs), potential(gaussian<double>(c.n, 2));
    const Twin<std::int32_t> sites(parents);
    std::vector<double> cpu(m * c.count), gpu(m * c.count), again(m * c.count);
    std::vector<std::int32_t> to(m * c.count), there(m * c.count);
    char text[80];
    std::snprintf(text, sizeof text, "n=%lld N=%lld m=%lld infinite=%d: ", (long long)c.n, (long long)c.count,
                  (long long)m, c.infinite);
    const std::string name = text;
    expect(m > 0, name + "parents");
    deblai::columns::price(
        {{matrix.host.data(), c.n, c.n, c.n, 1}, potential.host.data(), {parents.data(), m, c.count, c.count, 1}},
        cpu.data(), to.data());
    const deblai::columns::Problem q{
        {matrix.device, c.n, c.n, c.n, 1}, potential.device, {sites.device, m, c.count, c.count, 1}};
    deblai::cuda::columns::price(q, gpu.data(), there.data(), nullptr, 0);
    deblai::cuda::columns::price(q, again.data(), there.data(), nullptr, 0);
    expect(same_bits(gpu, again), name + "differs between runs");
    bool close = true;
    index_t different = 0;
    for (index_t i = 0; i < m * c.count; ++i) {
        close &= cpu[i] == gpu[i] || std::abs(cpu[i] - gpu[i]) <= 1e-12 * (1 + std::abs(cpu[i]));
        different += to[i] != there[i];
    }
    expect(close, name + "gains");
    expect(different == 0, name + std::to_string(different) + " sites differ");
}

}  // namespace

int main(int argc, char** argv) {
    return run(argc, argv, [](bool quick) {
        for (const int infinite : {0, 1, 2})
            for (const Case& c : {Case{2, 2, 1, 0}, Case{5, 3, 4, 0}, Case{40, 4, 30, 0}, Case{300, 6, 9, 0}})
                compare({c.n, c.count, c.m, infinite});
        expect(message([] {
                   deblai::cuda::columns::price({{nullptr, 3, 4, 4, 1}, nullptr, {nullptr, 1, 2, 2, 1}}, nullptr,
                                                nullptr, nullptr, 0);
               }).find("square") != std::string::npos,
               "a matrix that is not square");
        if (quick) return;
        compare({2000, 30, 3000, 1});
    });
}
