// A convex polyhedron that is cut by planes v.D = h: vertices in arrays, three planes through each. Of more than three
// planes through one point the polyhedron has several vertices there, with the same coordinates to the bit, so that
// every later cut treats them alike. Whatever rounding does, the graph stays that of a convex polyhedron: what is cut
// off is a disk of its dual triangulation.
#pragma once

#include "laguerre/lanes-inl.hpp"
#include "laguerre3-kernels.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

using laguerre3::Fresh;
using laguerre3::Scratch;

enum class Cut { none, some, all, full };

// The side beyond: v.D > h, h = (|D|^2 + psi_i - psi_j) / 2.
struct Plane {
    double dx, dy, dz, h;
};

class Polyhedron {
public:
    explicit Polyhedron(const Scratch& memory) : m_(memory) {}

    DEBLAI_HD int size() const { return size_; }
    DEBLAI_HD int planes() const { return planes_; }
    DEBLAI_HD void clear() { size_ = 0; }
    // Largest distance of a vertex from the site, and its square.
    DEBLAI_HD double radius2() const { return radius2_; }
    DEBLAI_HD double radius() const { return __builtin_sqrt(radius2_); }

    // A box with a label for each side; `extent` is that of coordinates in which vertices and sites are rounded.
    void start(const double (&low)[3], const double (&high)[3], const std::int64_t (&label)[6], double extent) {
        for (int v = 0; v < 8; ++v) {
            int face[3], across[3], lows = 0;
            for (int k = 0; k < 3; ++k) {
                const int up = v >> k & 1;
                face[k] = 2 * k + up;
                across[k] = v ^ (1 << k);
                lows += !up;
            }
            m_.x[v] = v & 1 ? high[0] : low[0];
            m_.y[v] = v & 2 ? high[1] : low[1];
            m_.z[v] = v & 4 ? high[2] : low[2];
            const int second = lows % 2 ? 2 : 1, third = 3 - second;
            m_.plane[0][v] = face[0], m_.next[0][v] = across[0];
            m_.plane[1][v] = face[second], m_.next[1][v] = across[second];
            m_.plane[2][v] = face[third], m_.next[2][v] = across[third];
        }
        for (int p = 0; p < 6; ++p) {
            m_.label[p] = label[p];
            m_.start[p] = -1;
        }
        size_ = 8;
        planes_ = 6;
        extent_ = extent;
        measure();
    }

    // Cuts off the side beyond; `full`, and nothing done, where the scratch is too small.
    DEBLAI_HD Cut clip(const Plane& p, std::int64_t label) {
        unsigned any = 0;
        for (int b = 0; b < size_; b += 8) {
            const V8 s = load8(m_.x + b) * p.dx + load8(m_.y + b) * p.dy + load8(m_.z + b) * p.dz - p.h, zero = {};
            store8(m_.s + b, s);
            any |= less(zero, s);
        }
        return any ? clip_beyond(p, label) : Cut::none;
    }

    // Is a vertex v as near in power to somewhere in the box (given relative to the site) as to the site? For
    // psi <= psi_i + gain + slope . D in the box that is, with w = v + slope / 2,
    //   |w - box|^2 <= |w|^2 + gain; equal where the box is a site at the same place
    DEBLAI_HD bool reached_by(const double (&low)[3], const double (&high)[3], double gain,
                              const double (&slope)[3]) const {
        const V8 zero = {};
        for (int b = 0; b < size_; b += 8) {
            V8 own = splat8(gain), its = {};
            const double* const at[3] = {m_.x, m_.y, m_.z};
#pragma GCC unroll 3
            for (int k = 0; k < 3; ++k) {
                const V8 w = load8(at[k] + b) + 0.5 * slope[k];
                const V8 d = largest(largest(low[k] - w, w - high[k]), zero);
                own = own + w * w;
                its = its + d * d;
            }
            if (less(own, its) != 0xFF) return true;
        }
        return false;
    }

private:
    // Lanes past the end repeat vertex 0, so they never decide anything.
    DEBLAI_HD void measure() {
        store8(m_.x + size_, splat8(m_.x[0]));
        store8(m_.y + size_, splat8(m_.y[0]));
        store8(m_.z + size_, splat8(m_.z[0]));
        V8 most = {};
        for (int b = 0; b < size_; b += 8) {
            const V8 x = load8(m_.x + b), y = load8(m_.y + b), z = load8(m_.z + b);
            most = largest(most, x * x + y * y + z * z);
        }
        radius2_ = top(most);
    }

    __attribute__((noinline)) Cut clip_beyond(const Plane& p, std::int64_t label) {
        // What is beyond by less than rounding is not, so that lattices get no slivers.
        const double tolerance =
            2e-15 * (extent_ * (__builtin_fabs(p.dx) + __builtin_fabs(p.dy) + __builtin_fabs(p.dz)) +
                     __builtin_fabs(p.h));
        int removed = 0;
        for (int b = 0; b < size_; b += 8) {
            unsigned beyond = less(splat8(tolerance), load8(m_.s + b));
            if (size_ - b < 8) beyond &= (1u << (size_ - b)) - 1;
            for (; beyond; beyond &= beyond - 1) m_.removed[removed++] = b + __builtin_ctz(beyond);
        }
        if (removed == 0) return Cut::none;
        if (removed == size_) return clear(), Cut::all;
        if (planes_ == m_.planes()) compact();
        int made = rim(removed, tolerance);
        if (made < 0) {
            removed = disk(p, removed, tolerance);
            made = rim(removed, tolerance);
        }
        if (size_ + made - removed > m_.capacity) {
            for (int i = 0; i < made; ++i) m_.start[m_.fresh[i].from] = -1;
            return Cut::full;
        }
        m_.label[planes_] = label;
        m_.start[planes_] = -1;
        replace(removed, made, tolerance);
        ++planes_;
        measure();
        return Cut::some;
    }

    DEBLAI_HD bool stays(int v, double tolerance) const { return !(m_.s[v] > tolerance); }

    // Lists the edges that leave the removed vertices, each where the rim of what is cut off crosses from plane `from`
    // to plane `to`; start[from] is its number. -1 where they are not a single cycle through different planes.
    DEBLAI_HD int rim(int removed, double tolerance) {
        int made = 0;
        bool simple = true;
        for (int i = 0; i < removed && simple; ++i) {
            const int v = m_.removed[i];
#pragma GCC unroll 3
            for (int k = 0; k < 3; ++k) {
                const int u = m_.next[k][v];
                if (!stays(u, tolerance)) continue;
                const int from = m_.plane[k == 2 ? 0 : k + 1][v], to = m_.plane[k == 0 ? 2 : k - 1][v];
                if (m_.start[from] >= 0) {
                    simple = false;
                    break;
                }
                m_.start[from] = made;
                Fresh& f = m_.fresh[made++];
                f.gone = v, f.corner = k, f.stays = u, f.from = from, f.to = to;
            }
        }
        if (simple) {
            int length = 0, at = 0;
            do at = m_.start[m_.fresh[at].to], ++length;
            while (at > 0 && length <= made);
            simple = at == 0 && length == made;
        }
        if (simple) return made;
        for (int i = 0; i < made; ++i) m_.start[m_.fresh[i].from] = -1;
        return -1;
    }

    // Rounding made the side beyond look like several pieces, or like a ring: keeps of it a disk around the vertex
    // that is farthest beyond, grown while it stays one; the other vertices count as lying on the plane.
    __attribute__((noinline)) int disk(const Plane& p, int removed, double tolerance) {
        int worst = m_.removed[0];
        for (int i = 1; i < removed; ++i)
            if (m_.s[m_.removed[i]] > m_.s[worst]) worst = m_.removed[i];
        for (int p = 0; p < planes_; ++p) m_.seen[p] = 0;
        const auto take = [&](int i) __attribute__((always_inline)) {
            const int v = m_.removed[i];
            m_.removed[i] = -1 - v;
            for (int k = 0; k < 3; ++k) ++m_.seen[m_.plane[k][v]];
        };
        // s of what has been taken is stored as infinite until the end
        for (int i = 0; i < removed; ++i)
            if (m_.removed[i] == worst) take(i), m_.s[worst] = __builtin_inf();
        for (bool grew = true; grew;) {
            grew = false;
            for (int i = 0; i < removed; ++i) {
                const int v = m_.removed[i];
                if (v < 0) continue;
                int edges = 0, corner = 0;
                for (int k = 0; k < 3; ++k)
                    if (m_.s[m_.next[k][v]] == __builtin_inf()) ++edges, corner = k;
                if (edges == 0 || edges == 3 || (edges == 1 && m_.seen[m_.plane[corner][v]] > 0)) continue;
                take(i);
                m_.s[v] = __builtin_inf();
                grew = true;
            }
        }
        int kept = 0;
        for (int i = 0; i < removed; ++i) {
            const int v = m_.removed[i];
            if (v < 0) {
                m_.removed[kept++] = -1 - v;
            } else {
                m_.s[v] = tolerance;
            }
        }
        for (int i = 0; i < kept; ++i) {
            const int v = m_.removed[i];
            const double s = m_.x[v] * p.dx + m_.y[v] * p.dy + m_.z[v] * p.dz - p.h;
            m_.s[v] = s > tolerance ? s : 2 * tolerance;
        }
        return kept;
    }

    DEBLAI_HD int slot(int i, int removed) const { return i < removed ? m_.removed[i] : size_ + (i - removed); }

    DEBLAI_HD int back_of(int u, int v) const { return m_.next[0][u] == v ? 0 : m_.next[1][u] == v ? 1 : 2; }

    // Puts the fresh vertices where removed ones were, and closes the gaps that are left.
    DEBLAI_HD void replace(int removed, int made, double tolerance) {
        for (int i = 0; i < made; ++i) {
            Fresh& f = m_.fresh[i];
            const int u = f.stays, v = f.gone;
            f.back = back_of(u, v);
            const double inside = m_.s[u];
            const double t = inside < -tolerance ? inside / (inside - m_.s[v]) : 0.0;
            f.x = m_.x[u] + t * (m_.x[v] - m_.x[u]);
            f.y = m_.y[u] + t * (m_.y[v] - m_.y[u]);
            f.z = m_.z[u] + t * (m_.z[v] - m_.z[u]);
        }
        for (int i = 0; i < made; ++i) {
            const Fresh& f = m_.fresh[i];
            const int w = slot(i, removed), j = m_.start[f.to], after = slot(j, removed);
            m_.x[w] = f.x;
            m_.y[w] = f.y;
            m_.z[w] = f.z;
            m_.plane[0][w] = planes_;
            m_.plane[1][w] = f.from;
            m_.plane[2][w] = f.to;
            m_.next[0][w] = f.stays;
            m_.next[1][w] = after;
            m_.next[2][after] = w;
            m_.next[f.back][f.stays] = w;
        }
        for (int i = 0; i < made; ++i) m_.start[m_.fresh[i].from] = -1;
        if (made >= removed) {
            size_ += made - removed;
            return;
        }
        while (removed > made) {
            const int hole = m_.removed[--removed], last = --size_;
            if (hole == last) continue;
            m_.x[hole] = m_.x[last];
            m_.y[hole] = m_.y[last];
            m_.z[hole] = m_.z[last];
            for (int k = 0; k < 3; ++k) {
                const int u = m_.next[k][last];
                m_.plane[k][hole] = m_.plane[k][last];
                m_.next[k][hole] = u;
                m_.next[back_of(u, last)][u] = hole;
            }
        }
    }

    // Forgets the planes that have no vertex left.
    __attribute__((noinline)) void compact() {
        for (int p = 0; p < planes_; ++p) m_.seen[p] = 0;
        for (int k = 0; k < 3; ++k)
            for (int v = 0; v < size_; ++v) m_.seen[m_.plane[k][v]] = 1;
        int kept = 0;
        for (int p = 0; p < planes_; ++p) {
            if (!m_.seen[p]) continue;
            m_.label[kept] = m_.label[p];
            m_.seen[p] = kept++;
        }
        for (int k = 0; k < 3; ++k)
            for (int v = 0; v < size_; ++v) m_.plane[k][v] = m_.seen[m_.plane[k][v]];
        for (int p = 0; p < kept; ++p) m_.start[p] = -1;
        planes_ = kept;
    }

    Scratch m_;
    int size_ = 0, planes_ = 0;
    double radius2_ = 0, extent_ = 0;
};

}  // namespace
}  // namespace deblai::DEBLAI_LEVEL
