// A convex polyhedron of one thread, cut by planes v.D = h: cpp/src/laguerre/solid/polyhedron-inl.hpp, a number at a
// time and with short numbers. Three planes through each vertex; whatever rounding does, the graph stays that of a
// convex polyhedron.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "deblai/polytope3.hpp"

namespace deblai::cuda::laguerre3 {

using deblai::index_t;

struct Plane {
    double dx, dy, dz, h;
};

// Three planes meet in a vertex, counter-clockwise from outside, and three edges: plane[k] does not contain that to
// next[k].
struct Corner {
    std::int16_t plane[3], next[3];
};

// A vertex that a cut makes, on the edge `back` of one that stays, where the rim crosses from plane `from` to plane
// `to`.
struct alignas(32) Fresh {
    double x, y, z;
    std::int16_t stays, back, from, to;
};

using Polytope = Polytope3<Corner, std::int16_t>;

// Where a thread keeps a polyhedron of at most `capacity` vertices.
struct Room {
    double *x, *y, *z;
    double* s;            // of a vertex: how far beyond a plane it counts as, in `disk`; free once a cell is cut
    Fresh* fresh;         // as many as there are edges
    Point3* ring;         // the corners of a facet
    std::int32_t* label;  // of each plane
    Corner* corner;
    std::int16_t *removed, *crossed, *seen;  // a number for each vertex, plane and plane
    std::int16_t* shape;                     // what a Polytope needs
    int capacity;

    static constexpr int most = 8192;  // numbers are short
    __host__ __device__ static constexpr int planes(int capacity) { return 2 * capacity; }
    __host__ __device__ static constexpr std::size_t bytes(int capacity) {
        const std::size_t n = static_cast<std::size_t>(capacity), m = 2 * n;
        const std::size_t numbers = n + 2 * m + (3 * n + m);
        return (4 * n * sizeof(double) + 3 * n / 2 * sizeof(Fresh) + n * (sizeof(Point3) + sizeof(Corner)) +
                m * sizeof(std::int32_t) + numbers * sizeof(std::int16_t) + 31) /
               32 * 32;
    }
    __host__ __device__ Room(std::byte* at, int room) : capacity(room) {
        const auto take = [&](auto*& p, std::size_t n) {
            p = reinterpret_cast<std::remove_reference_t<decltype(p)>>(at);
            at += n * sizeof(*p);
        };
        const std::size_t n = static_cast<std::size_t>(room), m = 2 * n;
        take(fresh, 3 * n / 2), take(x, n), take(y, n), take(z, n), take(s, n), take(ring, n), take(label, m);
        take(corner, n), take(removed, n), take(crossed, m), take(seen, m), take(shape, 3 * n + m);
    }
};

enum class Cut { none, some, all, full };

class Polyhedron {
public:
    __device__ explicit Polyhedron(const Room& room) : m_(room) {}

    __device__ int size() const { return size_; }
    __device__ int planes() const { return planes_; }
    __device__ void clear() { size_ = 0; }
    __device__ double radius2() const { return radius2_; }
    __device__ const Room& room() const { return m_; }

    // A box, with the same label for all sides.
    __device__ void start(const double (&low)[3], const double (&high)[3], std::int32_t label, double extent) {
        for (int v = 0; v < 8; ++v) {
            std::int16_t face[3], across[3];
            int lows = 0;
            for (int k = 0; k < 3; ++k) {
                const int up = v >> k & 1;
                face[k] = static_cast<std::int16_t>(2 * k + up);
                across[k] = static_cast<std::int16_t>(v ^ (1 << k));
                lows += !up;
            }
            m_.x[v] = v & 1 ? high[0] : low[0];
            m_.y[v] = v & 2 ? high[1] : low[1];
            m_.z[v] = v & 4 ? high[2] : low[2];
            const int second = lows % 2 ? 2 : 1, third = 3 - second;
            m_.corner[v] = {{face[0], face[second], face[third]}, {across[0], across[second], across[third]}};
        }
        for (int p = 0; p < 6; ++p) m_.label[p] = label;
        size_ = 8;
        planes_ = 6;
        extent_ = extent;
        measure();
    }

    // Cuts off the side beyond; `full`, and nothing done, where the room is too small.
    __device__ Cut clip(const Plane& p, std::int32_t label) {
        // What is beyond by less than rounding is not, so that lattices get no slivers.
        const double tolerance = 2e-15 * (extent_ * (fabs(p.dx) + fabs(p.dy) + fabs(p.dz)) + fabs(p.h));
        int removed = 0;
        for (int v = 0; v < size_; ++v)
            if (beyond(p, v) > tolerance) m_.removed[removed++] = static_cast<std::int16_t>(v);
        if (removed == 0) return Cut::none;
        if (removed == size_) return clear(), Cut::all;
        return clip_beyond(p, label, removed, tolerance);
    }

    // Is a vertex v as near in power to somewhere in the box as to the site? For psi <= psi_i + gain + slope . D in the
    // box that is, with w = v + slope / 2, |w - box|^2 <= |w|^2 + gain.
    __device__ bool reached_by(const double (&low)[3], const double (&high)[3], double gain,
                               const double (&slope)[3]) const {
        for (int v = 0; v < size_; ++v) {
            const double w[3] = {m_.x[v] + 0.5 * slope[0], m_.y[v] + 0.5 * slope[1], m_.z[v] + 0.5 * slope[2]};
            double own = gain, its = 0;
            for (int k = 0; k < 3; ++k) {
                const double d = fmax(fmax(low[k] - w[k], w[k] - high[k]), 0.0);
                own += w[k] * w[k];
                its += d * d;
            }
            if (its <= own) return true;
        }
        return false;
    }

    // The polyhedron as its points and facets; `read` it first.
    __device__ Polytope polytope() const {
        std::int16_t* const at = m_.shape;
        const int n = m_.capacity;
        return {m_.x, m_.y, m_.z, m_.corner, size_, planes_, at, at + n, at + 2 * n, at + 3 * n};
    }

private:
    // Computed anew wherever it is wanted, which is cheaper than to keep it: by operations that no compiler changes.
    __device__ double beyond(const Plane& p, int v) const {
        return fma(m_.x[v], p.dx, fma(m_.y[v], p.dy, fma(m_.z[v], p.dz, -p.h)));
    }

    __device__ double norm2(int v) const { return m_.x[v] * m_.x[v] + m_.y[v] * m_.y[v] + m_.z[v] * m_.z[v]; }

    __device__ void measure() {
        radius2_ = 0;
        for (int v = 0; v < size_; ++v) radius2_ = fmax(radius2_, norm2(v));
    }

    __device__ Cut clip_beyond(const Plane& p, std::int32_t label, int removed, double tolerance) {
        if (planes_ == Room::planes(m_.capacity)) compact();
        int made = rim(removed, tolerance, [&](int v) { return beyond(p, v); });
        if (!is_cycle(made)) {
            for (int v = 0; v < size_; ++v) m_.s[v] = beyond(p, v);
            removed = disk(p, removed, tolerance);
            made = rim(removed, tolerance, [&](int v) { return m_.s[v]; });
            is_cycle(made);
        }
        if (size_ + made - removed > m_.capacity || planes_ == Room::planes(m_.capacity)) return Cut::full;
        // While a farthest vertex stays, the radius does: what is new lies between vertices.
        bool far = false;
        for (int i = 0; i < removed; ++i) far |= norm2(m_.removed[i]) > 0.999999 * radius2_;
        m_.label[planes_] = label;
        replace(removed, made);
        ++planes_;
        if (far) measure();
        return Cut::some;
    }

    // Lists the vertices on the edges from removed vertices to those that stay.
    template <class Beyond>
    __device__ int rim(int removed, double tolerance, const Beyond& beyond) {
        int made = 0;
        for (int i = 0; i < removed; ++i) {
            const int v = m_.removed[i];
            const Corner c = m_.corner[v];
            const double outside = beyond(v);
            for (int k = 0; k < 3; ++k) {
                const int u = c.next[k];
                const double inside = beyond(u);
                if (inside > tolerance) continue;
                const double t = inside < -tolerance ? inside / (inside - outside) : 0.0;
                Fresh& f = m_.fresh[made++];
                f.x = m_.x[u] + t * (m_.x[v] - m_.x[u]);
                f.y = m_.y[u] + t * (m_.y[v] - m_.y[u]);
                f.z = m_.z[u] + t * (m_.z[v] - m_.z[u]);
                f.stays = static_cast<std::int16_t>(u);
                f.back = static_cast<std::int16_t>(edge_to(m_.corner[u], v));
                f.from = c.plane[k == 2 ? 0 : k + 1], f.to = c.plane[k == 0 ? 2 : k - 1];
            }
        }
        return made;
    }

    // Is the rim a single cycle through different planes? Notes in crossed[from] which edge leaves a plane.
    __device__ bool is_cycle(int made) {
        for (int i = 0; i < made; ++i) m_.crossed[m_.fresh[i].from] = m_.crossed[m_.fresh[i].to] = -1;
        bool simple = true;
        for (int i = 0; i < made; ++i) {
            std::int16_t& c = m_.crossed[m_.fresh[i].from];
            simple &= c < 0;
            c = static_cast<std::int16_t>(i);
        }
        int length = 0, at = 0;
        do at = m_.crossed[m_.fresh[at].to], ++length;
        while (at > 0 && length <= made);
        return simple && at == 0 && length == made;
    }

    // Rounding made the side beyond look like several pieces, or like a ring: keeps of it a disk around the vertex that
    // is farthest beyond, grown while it stays one; the other vertices count as lying on the plane.
    __device__ int disk(const Plane& p, int removed, double tolerance) {
        int worst = 0;
        for (int i = 1; i < removed; ++i)
            if (m_.s[m_.removed[i]] > m_.s[m_.removed[worst]]) worst = i;
        for (int k = 0; k < planes_; ++k) m_.seen[k] = 0;
        // What has been taken has an infinite s until the end, and is noted as -1 - its number.
        const auto take = [&](int i) {
            const std::int16_t v = m_.removed[i];
            m_.removed[i] = static_cast<std::int16_t>(-1 - v);
            m_.s[v] = HUGE_VAL;
            for (const std::int16_t k : m_.corner[v].plane) m_.seen[k] = 1;
        };
        take(worst);
        for (bool grew = true; grew;) {
            grew = false;
            for (int i = 0; i < removed; ++i) {
                if (m_.removed[i] < 0) continue;
                const Corner& c = m_.corner[m_.removed[i]];
                int edges = 0, opposite = 0;
                for (int k = 0; k < 3; ++k)
                    if (m_.s[c.next[k]] == HUGE_VAL) ++edges, opposite = k;
                if (edges == 0 || edges == 3 || (edges == 1 && m_.seen[c.plane[opposite]])) continue;
                take(i);
                grew = true;
            }
        }
        int kept = 0;
        for (int i = 0; i < removed; ++i) {
            const std::int16_t v = m_.removed[i];
            if (v >= 0) {
                m_.s[v] = tolerance;
                continue;
            }
            const std::int16_t taken = static_cast<std::int16_t>(-1 - v);
            const double s = beyond(p, taken);
            m_.s[taken] = s > tolerance ? s : 2 * tolerance;
            m_.removed[kept++] = taken;
        }
        return kept;
    }

    __device__ int slot(int i, int removed) const { return i < removed ? m_.removed[i] : size_ + (i - removed); }

    __device__ static int edge_to(const Corner& c, int v) { return c.next[0] == v ? 0 : c.next[1] == v ? 1 : 2; }

    // Puts the fresh vertices where removed ones were, which nobody reads any more, and closes the gaps that are left.
    __device__ void replace(int removed, int made) {
        const std::int16_t plane = static_cast<std::int16_t>(planes_);
        for (int i = 0; i < made; ++i) {
            const Fresh f = m_.fresh[i];
            const int w = slot(i, removed), after = slot(m_.crossed[f.to], removed);
            m_.x[w] = f.x;
            m_.y[w] = f.y;
            m_.z[w] = f.z;
            Corner& c = m_.corner[w];
            c.plane[0] = plane, c.plane[1] = f.from, c.plane[2] = f.to;
            c.next[0] = f.stays, c.next[1] = static_cast<std::int16_t>(after);
            m_.corner[after].next[2] = static_cast<std::int16_t>(w);
            m_.corner[f.stays].next[f.back] = static_cast<std::int16_t>(w);
        }
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
            const Corner c = m_.corner[hole] = m_.corner[last];
            for (const std::int16_t u : c.next)
                m_.corner[u].next[edge_to(m_.corner[u], last)] = static_cast<std::int16_t>(hole);
        }
    }

    // Forgets the planes that have no vertex left.
    __device__ void compact() {
        for (int p = 0; p < planes_; ++p) m_.seen[p] = 0;
        for (int v = 0; v < size_; ++v)
            for (const std::int16_t p : m_.corner[v].plane) m_.seen[p] = 1;
        int kept = 0;
        for (int p = 0; p < planes_; ++p) {
            if (!m_.seen[p]) continue;
            m_.label[kept] = m_.label[p];
            m_.seen[p] = static_cast<std::int16_t>(kept++);
        }
        for (int v = 0; v < size_; ++v)
            for (std::int16_t& p : m_.corner[v].plane) p = m_.seen[p];
        planes_ = kept;
    }

    Room m_;
    int size_ = 0, planes_ = 0;
    double radius2_ = 0, extent_ = 0;
};

}  // namespace deblai::cuda::laguerre3
