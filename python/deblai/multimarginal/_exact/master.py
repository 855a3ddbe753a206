"""The restricted linear program of column generation: one warm HiGHS model, columns come and go."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ... import errors
from ..._extras import require

Array = np.ndarray[Any, Any]
PRIMAL, DUAL = 4, 1  # simplex strategies of HiGHS
OPTIONS: dict[str, Any] = {
    "presolve": "off",
    "threads": 1,
    "solver": "simplex",
    "simplex_strategy": PRIMAL,
    "primal_feasibility_tolerance": 1e-10,
    "dual_feasibility_tolerance": 1e-10,
}


class Solved(NamedTuple):
    """Objective, row duals and column values."""

    value: float
    duals: Array
    masses: Array


class Infeasible(Exception):
    """No combination of the columns meets the rows."""


class Master:
    """min <c, a> over a >= 0 with sum_k a_k (how often column k has row i) = rhs_i."""

    def __init__(self, operation: str, rhs: Array) -> None:
        self.operation = operation
        self.highspy = require("highspy", operation, "exact")
        self.model = self.highspy.Highs()
        self.model.silent()
        for name, value in OPTIONS.items():
            self.model.setOptionValue(name, value)
        none = np.zeros(0, np.int32)
        self.model.addRows(len(rhs), rhs, rhs, 0, np.zeros(len(rhs), np.int32), none, np.zeros(0))
        self.n_columns = 0

    def add(self, rows: Array, costs: Array) -> None:
        """Add columns: row k of `rows` (m, N) lists the rows of column k, repeated ones count as often."""
        m, count = rows.shape
        rows = np.sort(rows, axis=1)
        new = np.ones((m, count), bool)
        new[:, 1:] = rows[:, 1:] != rows[:, :-1]
        at = np.flatnonzero(new.ravel())
        times = np.diff(np.append(at, m * count)).astype(np.float64)
        starts = np.concatenate([[0], np.cumsum(new.sum(1))[:-1]]).astype(np.int32)
        index = rows.ravel()[at].astype(np.int32)
        free = np.full(m, self.highspy.kHighsInf)
        self.model.addCols(m, np.asarray(costs, np.float64), np.zeros(m), free, len(at), starts, index, times)
        self.n_columns += m

    def inactive(self) -> Array:
        """Return the indices of the columns that are not in the basis, the oldest first."""
        basic = self.highspy.HighsBasisStatus.kBasic
        return np.flatnonzero([s != basic for s in self.model.getBasis().col_status])

    def delete(self, columns: Array) -> None:
        """Delete columns, which must be inactive for the basis to stay."""
        self.model.deleteCols(len(columns), columns.astype(np.int32))
        self.n_columns -= len(columns)

    def price(self, costs: Array) -> None:
        """Give all columns new costs."""
        index = np.arange(self.n_columns, dtype=np.int32)
        self.model.changeColsCost(self.n_columns, index, np.asarray(costs, np.float64))

    def close(self, count: int) -> None:
        """Fix the first columns at 0."""
        self.model.changeColsBounds(count, np.arange(count, dtype=np.int32), np.zeros(count), np.zeros(count))

    def solve(self) -> Solved:
        """Solve from the basis of the last time; where that leads nowhere anew, then with looser tolerances."""
        status, model = self.highspy.HighsModelStatus, self.model
        model.run()
        if model.getModelStatus() != status.kOptimal:
            for loose in ({}, {"primal_feasibility_tolerance": 1e-7, "dual_feasibility_tolerance": 1e-7}):
                changed = {"simplex_strategy": DUAL, "presolve": "choose", **loose}
                for name, value in changed.items():
                    model.setOptionValue(name, value)
                model.clearSolver()
                model.run()
                for name in changed:
                    model.setOptionValue(name, OPTIONS[name])
                if model.getModelStatus() == status.kOptimal:
                    break
        found = self.model.getModelStatus()
        if found in (status.kInfeasible, status.kUnboundedOrInfeasible):
            raise Infeasible
        if found != status.kOptimal:
            said = self.model.modelStatusToString(found)
            raise errors.DeblaiError(f"[{self.operation}] HiGHS ended without an optimum: {said}")
        solution = self.model.getSolution()
        value = float(self.model.getInfo().objective_function_value)
        return Solved(value, np.array(solution.row_dual), np.maximum(np.array(solution.col_value), 0.0))


def polished(rows: Array, masses: Array, rhs: Array, wanted: float) -> Array:
    """Return masses that meet the equations to rounding, where those of the simplex method are off by over `wanted`.

    Least squares on the columns (k, N) that carry mass, what is below 0 set to 0; as they were where that is no
    better.
    """
    system = np.zeros((len(rhs), len(masses)))
    np.add.at(system, (rows.T, np.arange(len(masses))), 1.0)
    left = float(np.abs(rhs - system @ masses).sum())
    if left <= wanted or len(rhs) > 2000:
        return masses
    better = np.maximum(np.linalg.lstsq(system, rhs, rcond=None)[0], 0.0)
    return better if float(np.abs(rhs - system @ better).sum()) < left else masses
