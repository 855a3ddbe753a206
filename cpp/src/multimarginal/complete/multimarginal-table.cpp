#include "multimarginal-table.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace deblai::multimarginal {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity(), log_2 = 0.69314718055994530942;

}  // namespace

template <class T>
PairTable<T>::PairTable(const Store<T>& store, const Kernels<T>& kernels, Team& team)
    : store_(store), kernels_(kernels), team_(team), versions_(store.problem().n_marginals) {
    const Problem<T>& q = store.problem();
    std::size_t values = 0, slices = 0, factors[2] = {}, shared = 0;
    for (int p = 0; p < q.distinct(); ++p)
        zeros_.resize(std::max<std::size_t>(zeros_.size(), store.side(p).ld + stretch));
    stored_size_ = q.n_marginals > 3 ? zeros_.size() * panel<T> : 0;
    for (int a = 0; a < q.distinct(); ++a)
        for (int b = q.symmetric ? a : a + 1; b < q.distinct(); ++b) {
            const Roles roles = roles_of(q, a, b);
            const Cut c = cut(q, roles);
            const std::size_t lda = store.side(a).ld, ldb = store.side(b).ld;
            if (q.n_marginals > 3 && c.deep) {
                shared = std::max(shared, (lda + ldb) * store.side(roles.r).ld);
                stored_size_ = std::max(stored_size_, own_size(lda + ldb));
            }
            values = std::max(values, lda * ldb);
            slices = std::max(slices, (c.slices - 1) * lda * ldb);
            factors[0] = std::max(factors[0], c.capacity * lda);
            factors[1] = std::max(factors[1], q.symmetric ? 0 : c.capacity * ldb);
        }
    values_ = allocate(values * sizeof(T));
    std::memset(values_.get(), 0, values * sizeof(T));  // padding is never written, and must be finite
    if (slices) slices_ = allocate(slices * sizeof(T));
    if (stored_size_) stored_ = allocate(stored_size_ * team.size() * sizeof(T));
    if (shared) kernel_ = allocate(shared * sizeof(T));
    for (const int side : {0, 1})
        if (factors[side]) factors_[side] = allocate(factors[side] * sizeof(T));
}

template <class T>
Roles PairTable<T>::roles_of(const Problem<T>& problem, int p, int q) {
    return problem.symmetric ? choose_roles(problem, 0, 1) : choose_roles(problem, std::min(p, q), std::max(p, q));
}

template <class T>
typename PairTable<T>::Cut PairTable<T>::cut(const Problem<T>& problem, const Roles& roles) {
    const auto ld = [&](int k) { return padded<T>(problem.marginals[problem.symmetric ? 0 : k].size); };
    const index_t lda = ld(roles.p), ldb = ld(roles.q), rows = lda / panel<T>, columns = ldb / panel<T>;
    const double runs = std::ceil(Depth<T>::rows(problem, roles) / run);
    Cut c;
    c.capacity = std::max<index_t>(1, (index_t{1} << 20) / std::max(lda, ldb) / run);
    if (runs < static_cast<double>(c.capacity)) c.capacity = static_cast<index_t>(runs);
    // A small and deep table is cut across its depth, others into blocks.
    c.deep = rows * columns <= 16 && c.capacity >= 16;
    c.block_rows = c.deep ? rows : rows >= 32 ? 4 : 1;
    c.block_columns = c.deep ? columns : std::clamp<index_t>(columns / 2, 1, 8);
    const index_t tasks =
        (rows + c.block_rows - 1) / c.block_rows * ((columns + c.block_columns - 1) / c.block_columns);
    c.slices = std::clamp<index_t>(16 / tasks, 1, c.capacity);
    c.capacity *= run;
    return c;
}

template <class T>
std::size_t PairTable<T>::bytes(const Problem<T>& problem, int threads) {
    std::size_t values = 0, slices = 0, factors[2] = {}, chunk = 0, longest = 0;
    const auto ld = [&](int k) { return static_cast<std::size_t>(padded<T>(problem.marginals[k].size)); };
    for (int p = 0; p < problem.distinct(); ++p) longest = std::max(longest, ld(p) + stretch);
    std::size_t stored = problem.n_marginals > 3 ? longest * panel<T> : 0, shared = 0;
    for (int a = 0; a < problem.distinct(); ++a)
        for (int b = problem.symmetric ? a : a + 1; b < problem.distinct(); ++b) {
            const Roles roles = roles_of(problem, a, b);
            const Cut c = cut(problem, roles);
            values = std::max(values, ld(a) * ld(b));
            slices = std::max(slices, (c.slices - 1) * ld(a) * ld(b));
            factors[0] = std::max(factors[0], c.capacity * ld(a));
            factors[1] = std::max(factors[1], problem.symmetric ? 0 : c.capacity * ld(b));
            if (problem.n_marginals > 3 && c.deep) {
                shared = std::max(shared, (ld(a) + ld(b)) * (ld(problem.symmetric ? 0 : roles.r) + 1));
                stored = std::max(stored, own_size(ld(a) + ld(b)));
            }
            const double size = static_cast<double>(problem.marginals[problem.symmetric ? 0 : roles.r].size);
            // Vectors that grow take three times what they hold.
            const double slabs = problem.symmetric
                                     ? static_cast<double>(c.capacity)
                                     : std::min<double>(c.capacity, static_cast<double>(c.capacity) / size + 2);
            const std::size_t beside = sizeof(Slab) + roles.fixed.size() * sizeof(index_t) + sizeof(T);
            chunk =
                std::max(chunk, static_cast<std::size_t>(3 * slabs) * beside + 2 * (c.capacity + stretch) * sizeof(T) +
                                    (c.capacity / run) * (ld(a) + ld(b)) / panel<T> +
                                    ld(problem.symmetric ? 0 : roles.r) * sizeof(T));
        }
    return (values + slices + factors[0] + factors[1] + longest + shared + stored * threads) * sizeof(T) + chunk;
}

template <class T>
bool PairTable<T>::serves(int p) const {
    if (roles_.p < 0) return false;
    const int N = store_.problem().n_marginals;
    if (store_.problem().symmetric) return versions_[0] == store_.side(0).version;
    if (p != roles_.p && p != roles_.q) return false;
    for (int k = 0; k < N; ++k)
        if (k != roles_.p && k != roles_.q && versions_[k] != store_.side(k).version) return false;
    return true;
}

// The marginal beside p: the next one, whose update can follow, unless another one's table is less work.
template <class T>
int PairTable<T>::partner(int p) const {
    const Problem<T>& problem = store_.problem();
    const int N = problem.n_marginals, next = (p + 1) % N;
    if (problem.symmetric) return 0;
    const auto work = [&](int q) {
        double depth = 1;
        for (int k = 0; k < N; ++k)
            if (k != p && k != q) depth *= static_cast<double>(store_.side(k).size);
        const double n = static_cast<double>(store_.side(p).ld), m = static_cast<double>(store_.side(q).ld);
        return depth * (n * m * multiplication<T> + (n + m) * exponential<T>);
    };
    int best = next;
    double least = work(next) / 2;
    for (int q = 0; q < N; ++q)
        if (q != p && q != next && work(q) < least) least = work(best = q);
    return best;
}

template <class T>
bool PairTable<T>::conditional(int p, double* lse, std::vector<index_t>& doubtful) {
    if (!serves(p)) return make(p, partner(p), store_.problem().symmetric, p, lse, doubtful);
    if (!sums(p, lse, doubtful)) return false;
    return doubtful.empty() || !quick_ || make(p, partner(p), store_.problem().symmetric, p, lse, doubtful);
}

// The table of a pair and the sums of one of them, as quickly as its rows allow.
template <class T>
bool PairTable<T>::make(int p, int q, bool half, int weighed, double* lse, std::vector<index_t>& doubtful) {
    const Roles roles = roles_of(store_.problem(), p, q);
    const bool failed = serves(weighed);  // a quick one has left doubts
    quick_ = !failed && pause_ == 0 && !roles.fixed.empty() &&
             cut(store_.problem(), roles).capacity >= 4 * store_.side(roles.r).size;
    if (pause_ > 0) --pause_;
    if (!fill(p, q, half) || !sums(weighed, lse, doubtful)) return false;
    if (quick_ && doubtful.empty()) penalty_ = 1;
    if (!quick_ || doubtful.empty()) return true;
    pause_ = penalty_;
    penalty_ = std::min(2 * penalty_, 64);
    quick_ = false;
    return fill(p, q, half) && sums(weighed, lse, doubtful);
}

template <class T>
bool PairTable<T>::fill(int p, int q, bool half) {
    const Problem<T>& problem = store_.problem();
    roles_ = roles_of(problem, p, q);
    const Roles made = roles_;
    roles_.p = -1;  // void until it is made
    cut_ = cut(problem, made);
    half_ = half;
    rows_ = Depth<T>::rows(problem, made);
    for (int k = 0; k < problem.n_marginals; ++k) versions_[k] = store_.side(k).version;
    const double terms = rows_ * static_cast<double>(std::max(store_.side(made.p).ld, store_.side(made.q).ld));
    constexpr int most = std::numeric_limits<T>::max_exponent;
    lift_ = std::max(0, (most - 4 - static_cast<int>(std::min(1000.0, std::log2(terms)))) / 3);
    roles_ = made;
    for (const int side : {0, 1})
        tops_[side].assign(store_.side(side ? made.q : made.p).ld, -std::numeric_limits<T>::infinity());

    Depth<T> depth(store_, made);
    Chunk<T> chunk;
    const bool whole = rows_ <= static_cast<double>(cut_.capacity);
    bool done = true, first = true;
    if (!whole)
        while (done && depth.next(cut_.capacity, chunk, team_.stop())) done = factors(chunk, true, false);
    depth.rewind();
    while (done && (depth.next(cut_.capacity, chunk, team_.stop()) || first)) {
        done =
            quick_ && cut_.deep ? at_once(chunk, whole, first) : factors(chunk, whole, true) && products(chunk, first);
        first = false;
    }
    done = done && !team_.stopped() && add_slices();
    if (!done) roles_.p = -1;
    return done;
}

template <class T>
bool PairTable<T>::products(const Chunk<T>& chunk, bool first) {
    const index_t lda = store_.side(roles_.p).ld, ldb = store_.side(roles_.q).ld, n = store_.side(roles_.p).size;
    const index_t rows = panels(0), columns = panels(1), stride = cut_.capacity * panel<T>;
    const index_t blocks = (rows + cut_.block_rows - 1) / cut_.block_rows,
                  strips = (columns + cut_.block_columns - 1) / cut_.block_columns;
    const index_t runs = (chunk.depth + run - 1) / run, all_runs = cut_.capacity / run;
    const T* const left = reinterpret_cast<const T*>(factors_[0].get());
    const T* const right = reinterpret_cast<const T*>(factors_[factor(1)].get());
    const char *const live_left = live_[0].data(), *const live_right = live_[factor(1)].data();
    const auto task = [&](index_t at, int) {
        const index_t slice = at % cut_.slices, strip = at / cut_.slices % strips, block = at / cut_.slices / strips;
        T* const values =
            slice ? reinterpret_cast<T*>(slices_.get()) + (slice - 1) * lda * ldb : reinterpret_cast<T*>(values_.get());
        const index_t i_end = std::min(rows, (block + 1) * cut_.block_rows),
                      j_end = std::min(columns, (strip + 1) * cut_.block_columns);
        if (half_ && j_end <= block * cut_.block_rows) return;
        if (first)
            for (index_t i = block * cut_.block_rows * panel<T>; i < std::min(n, i_end * panel<T>); ++i)
                std::fill(values + i * ldb + strip * cut_.block_columns * panel<T>, values + i * ldb + j_end * panel<T>,
                          T(0));
        for (index_t k = slice * runs / cut_.slices; k < (slice + 1) * runs / cut_.slices; ++k)
            for (index_t j = strip * cut_.block_columns; j < j_end; ++j)
                for (index_t i = block * cut_.block_rows; i < i_end; ++i) {
                    if ((half_ && j < i) || !live_left[i * all_runs + k] || !live_right[j * all_runs + k]) continue;
                    kernels_.product(left + i * stride + k * run * panel<T>, right + j * stride + k * run * panel<T>,
                                     std::min(run, chunk.depth - k * run), std::min(panel<T>, n - i * panel<T>),
                                     values + i * panel<T> * ldb + j * panel<T>, ldb);
                }
    };
    team_.run(blocks * strips * cut_.slices, task, multiplication<T> * static_cast<double>(chunk.depth * lda * ldb));
    return !team_.stopped();
}

template <class T>
bool PairTable<T>::add_slices() {
    const index_t lda = store_.side(roles_.p).ld, ldb = store_.side(roles_.q).ld, n = store_.side(roles_.p).size;
    T* const values = reinterpret_cast<T*>(values_.get());
    const auto task = [&](index_t block, int) {
        for (index_t slice = 0; slice + 1 < cut_.slices; ++slice) {
            const T* const more = reinterpret_cast<const T*>(slices_.get()) + slice * lda * ldb;
            const index_t end = std::min(n, (block + 1) * panel<T>);
            for (index_t at = block * panel<T> * ldb; at < end * ldb; ++at) values[at] += more[at];
        }
    };
    if (cut_.slices > 1) team_.run(panels(0), task, 0.2 * static_cast<double>(cut_.slices * lda * ldb));
    return !team_.stopped();
}

template <class T>
void PairTable<T>::weights_beside(int q, const std::vector<T>& tops, std::vector<T>& z) const {
    const Side<T>& Q = store_.side(q);
    z.assign(Q.ld, -std::numeric_limits<T>::infinity());
    for (index_t j = 0; j < Q.size; ++j) z[j] = static_cast<T>(Q.g[j] + static_cast<double>(tops[j]));
}

template <class T>
bool PairTable<T>::sums(int p, double* lse, std::vector<index_t>& doubtful) const {
    const bool rows = store_.problem().symmetric || p == roles_.p;
    const int q = rows ? roles_.q : roles_.p;
    const Side<T>&P = store_.side(p), &Q = store_.side(q);
    const Grid<T> table{reinterpret_cast<const T*>(values_.get()), store_.side(roles_.q).ld, !rows};
    std::vector<T> z;
    weights_beside(q, tops_[rows], z);
    const std::vector<T>& own = tops_[!rows];
    // Each factor and each weight of a value loses at most the smallest normal number to underflow; as a product of
    // three, each of them does, times the others.
    const double each = quick_ ? 1 + 2 * 20 * std::exp2(lift_ / 3 * 2) : 4;
    const double lost = each * rows_ * static_cast<double>(Q.ld) * std::numeric_limits<T>::min() * std::exp2(2 * lift_);
    const double least = lost / std::numeric_limits<T>::epsilon();
    std::vector<char> wrong(P.size);
    const auto task = [&](index_t at, int) {
        T top[panel<T>];
        double total[panel<T>];
        const index_t begin = at * panel<T>;
        kernels_.weigh({store_.grid(p, q), table, begin, Q.ld, half_, z.data(), lift_, top, total});
        for (index_t c = 0; c < panel<T> && begin + c < P.size; ++c) {
            const double reach = static_cast<double>(own[begin + c]) + static_cast<double>(top[c]);
            int exponent;
            const double mantissa = std::frexp(total[c], &exponent);
            lse[begin + c] =
                reach > -infinity ? reach + (exponent - 3 * lift_) * log_2 + std::log(mantissa) : -infinity;
            wrong[begin + c] = reach > -infinity && !(total[c] > least);
        }
    };
    team_.run(P.ld / panel<T>, task, 1.25 * exponential<T> * static_cast<double>(P.ld * Q.ld));
    doubtful.clear();
    for (index_t i = 0; i < P.size; ++i)
        if (wrong[i]) doubtful.push_back(i);
    return !team_.stopped();
}

template <class T>
T* PairTable<T>::plan(int p, int q, std::vector<index_t>& doubtful) {
    const Side<T>&P = store_.side(p), &Q = store_.side(q);
    std::vector<double> lse(P.size);
    roles_.p = -1;
    if (!make(p, q, false, p, lse.data(), doubtful)) return nullptr;
    roles_.p = -1;
    std::vector<T> z;
    weights_beside(q, tops_[1], z);
    T* const values = reinterpret_cast<T*>(values_.get());
    const auto task = [&](index_t block, int) {
        for (index_t i = block * panel<T>; i < std::min(P.size, (block + 1) * panel<T>); ++i)
            kernels_.plan(store_.grid(p, q).data + i * Q.ld, z.data(), Q.ld, P.g[i] + static_cast<double>(tops_[0][i]),
                          lift_, values + i * Q.ld);
    };
    team_.run(P.ld / panel<T>, task, exponential<T> * static_cast<double>(P.ld * Q.ld));
    return team_.stopped() ? nullptr : values;
}

template class PairTable<float>;
template class PairTable<double>;

}  // namespace deblai::multimarginal
