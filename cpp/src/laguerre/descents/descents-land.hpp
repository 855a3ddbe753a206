// The energy of sites: cells of the plane or of space on the calling thread alone.
#pragma once

#include "descents-point.hpp"

namespace deblai::descents {
namespace {

// Second derivatives by rows: a block for each site, and one for each cell across a facet.
class Hessian {
public:
    Hessian(std::size_t n, std::size_t d) : d_(d), own_(n * d * d), begin_(n + 1) {}

    // y = H x.
    void times(const Array& x, Array& y) const { d_ == 2 ? times<2>(x, y) : times<3>(x, y); }

private:
    template <class Problem>
    friend class Land;

    template <std::size_t D>
    void times(const Array& x, Array& y) const {
        const std::size_t n = begin_.size() - 1;
        for (std::size_t i = 0; i < n; ++i) {
            double sum[D] = {};
            const auto multiply = [&](const double* block, const double* v) {
                for (std::size_t k = 0; k < D; ++k)
                    for (std::size_t m = 0; m < D; ++m) sum[k] += block[k * D + m] * v[m];
            };
            multiply(&own_[i * D * D], &x[i * D]);
            for (std::size_t f = begin_[i]; f < begin_[i + 1]; ++f) multiply(&mixed_[f * D * D], &x[across_[f] * D]);
            for (std::size_t k = 0; k < D; ++k) y[i * D + k] = sum[k];
        }
    }

    std::size_t d_;
    Array own_, mixed_;
    std::vector<std::size_t> begin_, across_;
};

template <class Problem>
class Land {
public:
    Land(const Problem& q, const Options& options, const Control& control)
        : q_(q), options_(options), control_(control) {}

    const Options& options() const { return options_; }

    // The sites, those outside of a box at its border.
    Array inside(Array sites) const {
        const std::size_t d = static_cast<std::size_t>(q_.sites.cols);
        for (std::size_t k = 0; !q_.periodic && k < sites.size(); ++k)
            sites[k] = std::clamp(sites[k], q_.lower[k % d], q_.upper[k % d]);
        return sites;
    }
    Array moved(const Point& now, double t, const Array& way) const {
        Array to = now.sites;
        add(to, t, way);
        return inside(std::move(to));
    }

    Point at(Array sites) {
        const index_t n = q_.sites.rows, d = q_.sites.cols;
        Point p;
        p.sites = std::move(sites);
        p.mass.resize(n), p.each.resize(n), p.gradient.resize(n * d), p.curvature.resize(n);
        p.counts.resize(d == 3 ? 3 * n : n);
        q_.sites = {p.sites.data(), n, d, d, 1};
        index_t done;
        if (options_.p == 2) {
            centre_.resize(n * d);
            done = squares(q_, p, n);
            for (index_t i = 0; i < n; ++i) p.curvature[i] = 2 * p.mass[i];
        } else {
            p.own.resize(n * d * d);
            const powers::Output out{{p.mass.data(), n},
                                     {p.each.data(), n},
                                     {p.gradient.data(), n, d, d},
                                     {p.own.data(), n, d * d, d * d},
                                     {p.counts.data(), n, d == 3 ? 3 : 1, d == 3 ? 3 : 1}};
            done = powers::cells(q_, options_.p, out, control_);
            for (index_t i = 0; i < n; ++i) {
                double trace = 0;
                for (index_t k = 0; k < d; ++k) trace += p.own[(i * d + k) * d + k];
                const double bend = std::max(trace, 0.0) / (static_cast<double>(d) + options_.p - 2);
                p.curvature[i] = std::max(1.0, options_.p - 1) * bend;
            }
        }
        if (done < n) throw Stopped{};
        p.finish(options_.p);
        return p;
    }

    Hessian hessian(const Point& p) {
        const std::size_t n = p.size(), d = p.dim();
        const index_t step = d == 3 ? 3 : 1, which = d == 3 ? 1 : 0;
        std::vector<std::int64_t> begin((n + 1) * step);
        for (std::size_t i = 0; i < p.counts.size(); ++i) begin[i + step] = begin[i] + p.counts[i];
        const std::size_t total = begin[n * step + which];
        Array mass(total), first(total * d), second(total * d * d), offset(total * d);
        std::vector<std::int64_t> across(total);
        q_.sites = {p.sites.data(), q_.sites.rows, q_.sites.cols, q_.sites.cols, 1};
        if (facets(q_, begin, mass, first, second, offset, across) < filled(p)) throw Stopped{};
        Hessian h(n, d);
        h.mixed_.resize(total * d * d), h.across_.resize(total);
        for (std::size_t i = 0; i < n; ++i) {
            double* const own = &h.own_[i * d * d];
            for (std::size_t k = 0; k < d * d; ++k)
                own[k] = p.own.empty() ? (k % (d + 1) == 0 ? p.curvature[i] : 0.0) : p.own[i * d * d + k];
            h.begin_[i] = begin[i * step + which], h.begin_[i + 1] = begin[(i + 1) * step + which];
            for (std::size_t f = h.begin_[i]; f < h.begin_[i + 1]; ++f) {
                h.across_[f] = across[f] < 0 ? i : static_cast<std::size_t>(across[f]);
                if (across[f] < 0) continue;
                const double* const to = &offset[f * d];
                double apart = 0;
                for (std::size_t k = 0; k < d; ++k) apart += to[k] * to[k];
                const double scale = options_.p / std::sqrt(apart);
                for (std::size_t k = 0; k < d; ++k)
                    for (std::size_t m = 0; m < d; ++m) {
                        const double here = scale * second[(f * d + k) * d + m];
                        own[k * d + m] -= here;
                        h.mixed_[(f * d + k) * d + m] = here - scale * first[f * d + k] * to[m];
                    }
            }
        }
        return h;
    }

private:
    static index_t filled(const Point& p) {
        index_t some = 0;
        const std::size_t step = p.dim() == 3 ? 3 : 1;
        for (std::size_t i = 0; i < p.size(); ++i) some += p.counts[i * step] > 0;
        return some;
    }

    index_t squares(const laguerre::Problem<double>& q, Point& p, index_t n) {
        const laguerre::Output<double> out{{p.mass.data(), n},
                                           {centre_.data(), n, 2, 2},
                                           {p.each.data(), n},
                                           {p.counts.data(), n},
                                           {p.gradient.data(), n, 2, 2}};
        return laguerre::cells(q, out, control_).done;
    }
    index_t squares(const laguerre3::Problem<double>& q, Point& p, index_t n) {
        const laguerre3::Output<double> out{{p.mass.data(), n},
                                            {centre_.data(), n, 3, 3},
                                            {p.each.data(), n},
                                            {p.counts.data(), n, 3, 3},
                                            {p.gradient.data(), n, 3, 3}};
        return laguerre3::cells(q, out, control_).done;
    }
    index_t facets(const laguerre::Problem<double>& q, const std::vector<std::int64_t>& begin, Array& mass,
                   Array& first, Array& second, Array& offset, std::vector<std::int64_t>& across) {
        const index_t total = static_cast<index_t>(mass.size());
        const laguerre::Facets<double> out{{mass.data(), total},
                                           {first.data(), total, 2, 2},
                                           {second.data(), total, 4, 4},
                                           {offset.data(), total, 2, 2},
                                           {across.data(), total}};
        const Vector<const std::int64_t> sums{begin.data(), static_cast<index_t>(begin.size())};
        return options_.p == 2 ? laguerre::facets(q, sums, out, control_)
                               : powers::facets(q, options_.p, sums, out, control_);
    }
    index_t facets(const laguerre3::Problem<double>& q, const std::vector<std::int64_t>& begin, Array& mass,
                   Array& first, Array& second, Array& offset, std::vector<std::int64_t>& across) {
        const index_t total = static_cast<index_t>(mass.size());
        const laguerre3::Facets<double> out{{across.data(), total},
                                            {mass.data(), total},
                                            {first.data(), total, 3, 3},
                                            {second.data(), total, 9, 9},
                                            {offset.data(), total, 3, 3}};
        const Matrix<const std::int64_t> sums{begin.data(), static_cast<index_t>(begin.size() / 3), 3, 3};
        return options_.p == 2 ? laguerre3::facets(q, sums, out, control_)
                               : powers::facets(q, options_.p, sums, out, control_);
    }

    Problem q_;
    Options options_;
    Control control_;
    Array centre_;
};

}  // namespace
}  // namespace deblai::descents
