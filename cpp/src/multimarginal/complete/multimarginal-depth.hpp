// What a product contracts: the points of one marginal beside every tuple of those that are looped over, one below the
// other. Of equal marginals sorted tuples stand for all orders, the contracted point last among them.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "multimarginal-store.hpp"

namespace deblai::multimarginal {

// Points [first, last) of the contracted marginal beside one tuple, in the depth of a chunk from `at` on.
struct Slab {
    index_t first, last, at;
};

// Some of the depth: its slabs, their tuples one after the other, and half of each row's log-weight, costs among the
// tuple and the contracted point included (each factor of the product gets one half).
template <class T>
struct Chunk {
    std::vector<Slab> slabs;
    std::vector<index_t> tuples;
    std::vector<T> halves;
    index_t depth = 0;
};

template <class T>
class Depth {
public:
    Depth(const Store<T>& store, const Roles& roles)
        : store_(store),
          roles_(roles),
          sorted_(store.problem().symmetric),
          tuple_(roles.fixed.size(), sorted_, 0),
          firsts_(roles.fixed.empty() ? 1 : store.side(roles.fixed[0]).size),
          beside_(store.side(roles.r).ld) {}

    // How many rows there are at most.
    static double rows(const Problem<T>& problem, const Roles& roles) {
        const auto size = [&](int k) { return static_cast<double>(problem.marginals[problem.symmetric ? 0 : k].size); };
        double count = size(roles.r);
        for (std::size_t l = 0; l < roles.fixed.size(); ++l)
            count *= problem.symmetric ? (size(0) + static_cast<double>(l) + 1) / (static_cast<double>(l) + 2)
                                       : size(roles.fixed[l]);
        return count;
    }

    void rewind() {
        tuple_ = Tuple(roles_.fixed.size(), sorted_, 0);
        first_ = 0;
        open_ = false;
    }

    // The next rows, at most so many (whole stretches); false when none are left, or after a stop.
    bool next(index_t capacity, Chunk<T>& chunk, const Stop& stop) {
        chunk.slabs.clear();
        chunk.tuples.clear();
        chunk.halves.resize(capacity + stretch);
        chunk.depth = 0;
        while (first_ < firsts_) {
            if (!open_ && !open()) {
                if (stop.requested(0)) return false;  // there may be billions of them
                step();
                continue;
            }
            index_t take = end_ - begin_;
            if (take > capacity - chunk.depth) take = (capacity - chunk.depth) / stretch * stretch;
            if (take == 0) break;
            chunk.slabs.push_back({begin_, begin_ + take, chunk.depth});
            chunk.tuples.insert(chunk.tuples.end(), tuple_.at.begin(), tuple_.at.end());
            std::copy(&beside_[begin_], &beside_[begin_] + take, &chunk.halves[chunk.depth]);
            begin_ += take;
            chunk.depth += take;
            if (begin_ == end_) step();
        }
        std::fill_n(&chunk.halves[chunk.depth], stretch, T(0));
        return chunk.depth > 0;
    }

private:
    // Weighs the contracted points beside the tuple; false where none has a weight.
    bool open() {
        constexpr double infinity = std::numeric_limits<double>::infinity();
        const std::size_t depth = roles_.fixed.size();
        const double weight = tuple_.log_weight([&](std::size_t l, double& sum) {
            sum += store_.side(roles_.fixed[l]).g[tuple_.at[l]];
            for (std::size_t m = 0; m < l; ++m)
                sum += store_.entry(roles_.fixed[m], roles_.fixed[l], tuple_.at[m], tuple_.at[l]);
        });
        if (!(weight > -infinity)) return false;
        const Side<T>& R = store_.side(roles_.r);
        std::fill(beside_.begin(), beside_.end(), T(0));
        for (std::size_t l = 0; l < depth; ++l) store_.add_row(roles_.fixed[l], roles_.r, tuple_.at[l], beside_.data());
        const bool orders = sorted_ && depth > 0;
        const double more = orders ? std::log(static_cast<double>(depth + 1)) : 0.0;
        for (index_t k = 0; k < R.size; ++k)
            beside_[k] = static_cast<T>(0.5 * (weight + more + R.g[k] + static_cast<double>(beside_[k])));
        begin_ = 0;
        end_ = R.size;
        if (orders) {
            begin_ = tuple_.at.back();
            index_t run = 1;
            for (const index_t at : tuple_.at) run += at == begin_;
            beside_[begin_] -= static_cast<T>(0.5 * std::log(static_cast<double>(run)));
        }
        // Whole stretches without any weight at either end.
        const auto empty = [&](index_t from, index_t to) {
            return std::all_of(&beside_[from], &beside_[from] + (to - from), [](T t) { return !(t > -infinity); });
        };
        while (end_ > begin_ && empty(std::max(begin_, (end_ - 1) / stretch * stretch), end_))
            end_ = std::max(begin_, (end_ - 1) / stretch * stretch);
        while (begin_ < end_ && empty(begin_, std::min(begin_ + stretch, end_)))
            begin_ = std::min(begin_ + stretch, end_);
        open_ = begin_ < end_;
        return open_;
    }

    void step() {
        open_ = false;
        if (tuple_.next([&](std::size_t l) { return store_.side(roles_.fixed[l]).size; })) return;
        if (++first_ < firsts_) tuple_ = Tuple(roles_.fixed.size(), sorted_, first_);
    }

    const Store<T>& store_;
    const Roles& roles_;
    bool sorted_;
    Tuple tuple_;
    index_t first_ = 0, firsts_;
    std::vector<T> beside_;
    index_t begin_ = 0, end_ = 0;
    bool open_ = false;
};

}  // namespace deblai::multimarginal
