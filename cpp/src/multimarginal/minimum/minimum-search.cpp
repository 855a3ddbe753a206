#include "minimum-search.hpp"

#include <algorithm>

namespace deblai::multimarginal {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::size_t round_size = 64;  // subtrees that start from one best value; threads share them out
constexpr std::size_t enough = 512;     // subtrees
constexpr int starts = 16;              // of the descents that find the first best value
constexpr std::int64_t first_share = 64;

struct Subtree {
    std::vector<index_t> prefix;
    double bound, best;
    std::vector<index_t> at;
    std::int64_t nodes = 0;
    bool open = true;
};

// Subtrees, level by level until there are enough to share out; the most promising ones first.
std::vector<Subtree> subtrees(const Tables& t, Walk& walk, std::int64_t budget) {
    std::vector<Subtree> open;
    open.push_back({{}, -infinity, walk.best, {}});
    walk.nodes = 0;
    for (int k = 0; k + 2 < t.n_marginals && open.size() < enough; ++k) {
        std::vector<Subtree> next;
        for (const Subtree& whole : open) {
            if (walk.nodes >= budget) {
                next.push_back(whole);
                continue;
            }
            walk.start(whole.prefix);
            ++walk.nodes;
            for (const index_t x : walk.children(k)) {
                next.push_back({whole.prefix, std::max(whole.bound, walk.bound(k, x)), walk.best, {}});
                next.back().prefix.push_back(x);
            }
        }
        open = std::move(next);
    }
    return open;
}

}  // namespace

Minimum search(const Tables& t, const Wanted& wanted, const Control& control) {
    double work = 1;
    for (int p = 0; p < t.n_marginals; ++p) work *= static_cast<double>(t.size(p));
    Team team(control, work);
    std::vector<Walk> walks;
    for (int worker = 0; worker < team.size(); ++worker) walks.emplace_back(t, team.stop(), worker);
    Walk& first = walks[0];
    first.best = wanted.threshold;
    for (int start = 0; !wanted.tuples && start < starts; ++start) first.descend(t.size(0) * start / starts);
    Minimum found{infinity, first.at.empty() ? infinity : first.best, false, 0, first.at, {}, {}};
    double bar = first.best;

    std::vector<Subtree> all = subtrees(t, first, wanted.budget);
    found.nodes = first.nodes;
    const auto promising = [&](std::size_t a, std::size_t b) { return all[a].bound < all[b].bound; };
    std::vector<std::size_t> open(all.size());
    for (std::size_t i = 0; i < open.size(); ++i) open[i] = i;
    // Waves, so that what easy subtrees leave of the budget goes to hard ones. A subtree that was left begins anew.
    for (std::int64_t share = first_share; !open.empty() && found.nodes < wanted.budget; share *= 8) {
        std::stable_sort(open.begin(), open.end(), promising);
        for (std::size_t begin = 0; begin < open.size() && !team.stopped(); begin += round_size) {
            const std::size_t count = std::min(round_size, open.size() - begin);
            const std::int64_t left = wanted.budget - found.nodes, n = static_cast<std::int64_t>(count);
            if (left <= 0) break;
            for (std::size_t i = begin; i < begin + count; ++i) all[open[i]].nodes = 0;
            team.run(static_cast<index_t>(count), [&](index_t task, int worker) {
                Walk& walk = walks[worker];
                Subtree& tree = all[open[begin + task]];
                walk.best = wanted.tuples ? tree.best : bar;
                walk.at.clear();
                walk.nodes = 0;
                walk.limit = std::min(share, left / n + (task < left % n));
                walk.start(tree.prefix);
                const double bound = walk.visit(static_cast<int>(tree.prefix.size()), tree.bound);
                tree.bound = std::max(tree.bound, bound);
                tree.open = bound < infinity;
                tree.best = walk.best;
                if (!walk.at.empty()) tree.at = walk.at;
                tree.nodes = walk.nodes;
            });
            for (std::size_t i = begin; i < begin + count; ++i) {
                const Subtree& tree = all[open[i]];
                found.nodes += tree.nodes;
                if (tree.at.empty() || !(tree.best < found.best)) continue;
                found.best = bar = tree.best;
                found.at = tree.at;
            }
        }
        if (team.stopped()) break;
        const auto done = [&](std::size_t i) { return !all[i].open; };
        open.erase(std::remove_if(open.begin(), open.end(), done), open.end());
    }
    found.value = std::min(wanted.threshold, found.best);
    for (const Subtree& tree : all) {
        if (tree.open) found.value = std::min(found.value, tree.bound);
        if (!wanted.tuples || tree.at.empty()) continue;
        found.values.push_back(tree.best);
        found.tuples.insert(found.tuples.end(), tree.at.begin(), tree.at.end());
    }
    found.exact = found.value == std::min(wanted.threshold, found.best);
    return found;
}

}  // namespace deblai::multimarginal
