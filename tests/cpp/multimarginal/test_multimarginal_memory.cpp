// workspace_bytes is an upper bound of what one call asks operator new for, and grows as n^2, not n^N.
#include "counted_new.hpp"
#include "multimarginal/graph/graph.hpp"
#include "multimarginal_support.hpp"

namespace {

using namespace deblai;
using namespace deblai::test;

template <class T>
void bounded(std::vector<index_t> sizes, int n_marginals, index_t d, int threads, int memory,
             std::vector<mm::Edge> edges = {}) {
    Case<T> c = random_case<T>(sizes, n_marginals, 0.1, d, harmonic, {}, 1);
    if (!edges.empty()) c = on_graph(c, edges);
    const mm::Problem<T> q = c.problem();
    std::vector<double> f(c.length()), errors(3), values(3);
    std::vector<std::vector<T>> store;
    std::vector<Matrix<T>> plans, gradients;
    for (const auto& [a, b] : c.pairs()) {
        store.emplace_back(c.sizes[a] * c.sizes[b]);
        plans.push_back({store.back().data(), c.sizes[a], c.sizes[b], c.sizes[b], 1});
    }
    for (std::size_t p = 0; d && p < c.sizes.size(); ++p) {
        store.emplace_back(c.sizes[p] * d);
        gradients.push_back({store.back().data(), c.sizes[p], d, d, 1});
    }
    std::vector<T> far(edges.empty() ? 0 : c.sizes[0] * c.sizes[2]);
    const std::size_t promised = mm::workspace_bytes(q, threads, memory), before = live;
    const auto asked = [&](const auto& call) {
        peak = before;
        call();
        CHECK(live == before, live.load(), before);
        return peak - before;
    };
    const std::size_t swept =
        asked([&] { mm::sinkhorn(q, {-1, 3, memory}, f.data(), errors.data(), values.data(), {.threads = threads}); });
    CHECK(swept <= promised, swept, promised, n_marginals, sizes[0], d, threads, memory);
    const std::size_t evaluated = asked([&] {
        const mm::Output<T> out{plans.data(), d ? gradients.data() : nullptr, false};
        mm::evaluate(q, f.data(), out, {.threads = threads});
    });
    CHECK(evaluated <= promised, evaluated, promised, n_marginals, sizes[0], d, threads, memory);
    if (!edges.empty()) {
        const std::size_t other = asked([&] {
            mm::pair_plan(q, f.data(), 0, 2, Matrix<T>{far.data(), c.sizes[0], c.sizes[2], c.sizes[2], 1},
                          {.threads = threads});
        });
        const std::size_t bound = mm::pair_workspace_bytes(q, 0, 2, threads);
        CHECK(other <= bound, other, bound, n_marginals, sizes[0], d, threads);
        const std::size_t least = asked([&] { mm::graph_minimum(q, f.data(), {.threads = threads}); });
        CHECK(least <= mm::graph_minimum_bytes(q, threads), least, mm::graph_minimum_bytes(q, threads), sizes[0], d);
    }
    // Not a wild guess.
    if (threads == 1) CHECK(promised <= 2 * std::max(swept, evaluated) + 300000, swept, evaluated, promised, sizes[0]);
}

// A path, a triangle, a ring, one of treewidth 3, and one whose last two marginals are alone.
const std::vector<std::vector<mm::Edge>> graphs = {
    {{0, 1}, {1, 2}},
    {{0, 1}, {0, 2}, {1, 2}},
    {{0, 1}, {1, 2}, {2, 3}, {3, 4}, {0, 4}},
    {{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 3}, {1, 4}, {2, 4}, {3, 4}},
    {{0, 2}}};

template <class T>
void all() {
    for (const int threads : {1, 2, 5})
        for (const int memory : {0, 10}) {
            if (sanitized && threads == 2) continue;
            for (const index_t d : {0, 1, 3}) {
                bounded<T>({1}, 2, d, threads, memory);
                bounded<T>({500}, 2, d, threads, memory);
                bounded<T>({400, 3}, 2, d, threads, memory);
                bounded<T>({1, 1, 1}, 3, d, threads, memory);
                bounded<T>({sized(150, 70)}, 3, d, threads, memory);
                bounded<T>({60, 5, 90}, 3, d, threads, memory);
                bounded<T>({5, 9, 40, 3}, 4, d, threads, memory);
                bounded<T>({33, 40, 47, 50}, 4, d, threads, memory);
                bounded<T>({14}, 5, d, threads, memory);
                for (const auto& edges : graphs) bounded<T>({30, 5, 41, 3, 17}, 5, d, threads, memory, edges);
            }
            bounded<T>({sized(20000, 3000), 40}, 2, 2, threads, memory);
            bounded<T>({40, sized(20000, 3000)}, 2, 50, threads, memory);
            bounded<T>({sized(6000, 1000), 2, 2}, 3, 1, threads, memory);
            bounded<T>({sized(6000, 1000), 3, 1000}, 3, 1, threads, memory, graphs[0]);
            bounded<T>({150, 130, 170}, 3, 1, threads, memory, graphs[1]);
        }
}

// Seven marginals of 2000 points take what their matrices of costs take.
void no_tensor() {
    const float zero = 0;
    const mm::Marginal<float> one{2000, {&zero, 2000, 3, 0, 0}, {}};
    const mm::Problem<float> equal{7, true, &one, nullptr, coulomb, 1};
    const std::size_t matrix = std::size_t{4} * 2016 * 2016;
    CHECK(mm::workspace_bytes(equal, 1) < 5 * matrix, mm::workspace_bytes(equal, 1));
    const std::vector<mm::Marginal<float>> seven(7, one);
    const mm::Problem<float> general{7, false, seven.data(), nullptr, coulomb, 1};
    CHECK(mm::workspace_bytes(general, 1) < 42 * 2 * matrix, mm::workspace_bytes(general, 1));
    // Two marginals given by points, and trees: nothing of n^2.
    const mm::Marginal<float> large{1000000, {&zero, 1000000, 3, 0, 0}, {}};
    const mm::Problem<float> pair{2, true, &large, nullptr, coulomb, 1};
    CHECK(mm::workspace_bytes(pair, 2, 10) < std::size_t{1000000} * 500, mm::workspace_bytes(pair, 2, 10));
    const std::vector<mm::Marginal<float>> five(5, large);
    const std::vector<mm::Edge> star = {{0, 1}, {0, 2}, {0, 3}, {0, 4}};
    const mm::Problem<float> tree{5, false, five.data(), nullptr, coulomb, 1, star.data(), 4};
    CHECK(mm::workspace_bytes(tree, 2, 10) < std::size_t{5000000} * 500, mm::workspace_bytes(tree, 2, 10));
    // A ring has tables of two: as much as its treewidth makes of it.
    const std::vector<mm::Edge> ring = {{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6}, {0, 6}};
    const mm::Problem<float> around{7, false, seven.data(), nullptr, coulomb, 1, ring.data(), 7};
    CHECK(mm::workspace_bytes(around, 1) < 20 * matrix, mm::workspace_bytes(around, 1));
}

}  // namespace

int main() {
    all<float>();
    all<double>();
    no_tensor();
    return report();
}
