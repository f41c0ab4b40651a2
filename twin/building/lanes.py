"""Eight numbers at once: a vector type for compiled code, and the few functions that its users need.

Arithmetic and comparisons work on lanes (and floats next to them) as on single numbers; LLVM turns them into the widest
vector instructions of the machine. Every operation is done lane by lane, so what stands in the other lanes never
changes a result.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

from llvmlite import ir
from numba import extending as numba_extending
from numba.core import cgutils as numba_llvm
from numba.core import types as numba_types
from numba.core.typing import templates as numba_templates

WIDTH = 8
Lanes: TypeAlias = Any
"""Eight floats in compiled code (or one float, for functions that are also called with single numbers)."""
Mask: TypeAlias = Any
"""Eight truth values (or one)."""

# numba tells no types of its own
cgutils: Any = numba_llvm
types: Any = numba_types
templates: Any = numba_templates
extending: Any = numba_extending

_F64, _I64, _I32, _BIT = ir.DoubleType(), ir.IntType(64), ir.IntType(32), ir.IntType(1)
_ORDER = ir.VectorType(_I32, WIDTH)
_FLOATS, _INTS, _BITS = (ir.VectorType(element, WIDTH) for element in (_F64, _I64, _BIT))


class _LanesType(types.Type):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(name="lanes")


class _MaskType(types.Type):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(name="mask")


LANES, MASK = _LanesType(), _MaskType()


@extending.register_model(_LanesType)
class _LanesModel(extending.models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, of: Any) -> None:
        super().__init__(manager, of, _FLOATS)


@extending.register_model(_MaskType)
class _MaskModel(extending.models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, of: Any) -> None:
        super().__init__(manager, of, _BITS)


def _instruction(function: Callable[..., Any]) -> Any:
    """A function of compiled code that is made of LLVM instructions."""
    return extending.intrinsic(function)


def _spread(builder: Any, value: Any) -> Any:
    """A scalar in all lanes; lanes as they are."""
    if isinstance(value.type, ir.VectorType):
        return value
    one = builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, ir.Constant(_FLOATS, ir.Undefined), ir.Constant(_ORDER, [0] * WIDTH))


def _signature(result: Any, *given: Any) -> Any:
    return templates.Signature(result, given, None)


def _binary(symbol: Any, result: Any, emit: Callable[[Any, Any, Any], Any]) -> None:
    """Let ``symbol`` work on lanes with lanes or floats."""
    sides = ((LANES, LANES), (LANES, types.float64), (types.float64, LANES))
    template = type(
        f"Lanes_{symbol.__name__}",
        (templates.ConcreteTemplate,),
        {"cases": [_signature(result, *side) for side in sides]},
    )
    templates.infer_global(symbol)(template)

    def lower(_context: Any, builder: Any, kind: Any, given: Any) -> Any:
        return emit(builder, _spread(builder, given[0]), _spread(builder, given[1]))

    for side in sides:
        extending.lower_builtin(symbol, *side)(lower)


def _arithmetic(name: str) -> Callable[[Any, Any, Any], Any]:
    return lambda builder, a, b: getattr(builder, name)(a, b)


def _comparison(sign: str) -> Callable[[Any, Any, Any], Any]:
    return lambda builder, a, b: builder.fcmp_ordered(sign, a, b)


_ARITHMETIC = {operator.add: "fadd", operator.sub: "fsub", operator.mul: "fmul", operator.truediv: "fdiv"}
_COMPARISONS = {operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">=", operator.eq: "=="}
for _symbol, _name in _ARITHMETIC.items():
    _binary(_symbol, LANES, _arithmetic(_name))
for _symbol, _name in _COMPARISONS.items():
    _binary(_symbol, MASK, _comparison(_name))


def _masks(symbol: Any, name: str) -> None:
    """Let ``symbol`` join two masks."""
    template = type(f"Mask_{name}", (templates.ConcreteTemplate,), {"cases": [_signature(MASK, MASK, MASK)]})
    templates.infer_global(symbol)(template)

    def lower(_context: Any, builder: Any, kind: Any, given: Any) -> Any:
        return getattr(builder, name)(*given)

    extending.lower_builtin(symbol, MASK, MASK)(lower)


_masks(operator.and_, "and_")
_masks(operator.or_, "or_")


@templates.infer_global(operator.invert)
class _Opposite(templates.ConcreteTemplate):  # type: ignore[misc]
    cases: ClassVar = [_signature(MASK, MASK)]


extending.lower_builtin(operator.invert, MASK)(lambda _context, builder, _kind, given: builder.not_(given[0]))


def _place(context: Any, builder: Any, kind: Any, values: Any) -> Any:
    """Address of eight elements of a C-contiguous array, from a flat index on."""
    data = context.make_array(kind.args[0])(context, builder, values[0]).data
    return builder.bitcast(builder.gep(data, [values[1]]), _FLOATS.as_pointer())


def _first(builder: Any, count: Any) -> Any:
    """Mask of the first ``count`` lanes."""
    one = builder.insert_element(ir.Constant(_INTS, ir.Undefined), count, ir.Constant(_I32, 0))
    counts = builder.shuffle_vector(one, ir.Constant(_INTS, ir.Undefined), ir.Constant(_ORDER, [0] * WIDTH))
    return builder.icmp_signed("<", ir.Constant(_INTS, list(range(WIDTH))), counts)


def _call(builder: Any, name: str, result: Any, given: list[Any]) -> Any:
    kind = ir.FunctionType(result, [value.type for value in given])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), given)


def _joined(*given: Any) -> Any:
    """Lanes where any argument is, one float otherwise."""
    return LANES if LANES in given or MASK in given else types.float64


@_instruction
def load(typing: Any, array: Any, index: Any) -> Any:
    """Eight elements of a C-contiguous array from a flat index on."""

    def build(context: Any, builder: Any, kind: Any, values: Any) -> Any:
        return builder.load(_place(context, builder, kind, values), align=8)

    return _signature(LANES, array, types.intp), build


@_instruction
def store(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Write eight elements of a C-contiguous array from a flat index on."""

    def build(context: Any, builder: Any, kind: Any, values: Any) -> Any:
        builder.store(values[2], _place(context, builder, kind, values), align=8)
        return context.get_dummy_value()

    return _signature(types.void, array, types.intp, LANES), build


@_instruction
def load_first(typing: Any, array: Any, index: Any, count: Any, absent: Any) -> Any:
    """The first ``count`` of eight elements; ``absent`` in the other lanes, whose memory is not touched."""

    def build(context: Any, builder: Any, kind: Any, values: Any) -> Any:
        given = [
            _place(context, builder, kind, values),
            ir.Constant(_I32, 8),
            _first(builder, values[2]),
            _spread(builder, values[3]),
        ]
        return _call(builder, "llvm.masked.load.v8f64.p0", _FLOATS, given)

    return _signature(LANES, array, types.intp, types.intp, types.float64), build


@_instruction
def store_first(typing: Any, array: Any, index: Any, count: Any, value: Any) -> Any:
    """Write the first ``count`` of eight lanes."""

    def build(context: Any, builder: Any, kind: Any, values: Any) -> Any:
        place = _place(context, builder, kind, values)
        given = [values[3], place, ir.Constant(_I32, 8), _first(builder, values[2])]
        _call(builder, "llvm.masked.store.v8f64.p0", ir.VoidType(), given)
        return context.get_dummy_value()

    return _signature(types.void, array, types.intp, types.intp, LANES), build


@_instruction
def gather(typing: Any, array: Any, index: Any, places: Any, first: Any) -> Any:
    """Elements ``index + places[first]`` to ``index + places[first + 7]`` of a C-contiguous array."""

    def build(context: Any, builder: Any, kind: Any, values: Any) -> Any:
        data = context.make_array(kind.args[0])(context, builder, values[0]).data
        order = context.make_array(kind.args[2])(context, builder, values[2]).data
        found = ir.Constant(_FLOATS, ir.Undefined)
        for lane in range(WIDTH):
            at = builder.load(builder.gep(order, [builder.add(values[3], ir.Constant(_I64, lane))]))
            value = builder.load(builder.gep(data, [builder.add(values[1], at)]))
            found = builder.insert_element(found, value, ir.Constant(_I32, lane))
        return found

    return _signature(LANES, array, types.intp, places, types.intp), build


@_instruction
def scatter(typing: Any, array: Any, index: Any, stride: Any, value: Any) -> Any:
    """Write eight lanes to ``index``, ``index + stride``, ... of a C-contiguous array."""

    def build(context: Any, builder: Any, kind: Any, values: Any) -> Any:
        data = context.make_array(kind.args[0])(context, builder, values[0]).data
        place = values[1]
        for lane in range(WIDTH):
            builder.store(builder.extract_element(values[3], ir.Constant(_I32, lane)), builder.gep(data, [place]))
            place = builder.add(place, values[2])
        return context.get_dummy_value()

    return _signature(types.void, array, types.intp, types.intp, LANES), build


@_instruction
def fill(typing: Any, value: Any) -> Any:
    """One number in all lanes."""

    def build(_context: Any, builder: Any, _kind: Any, values: Any) -> Any:
        return _spread(builder, values[0])

    return _signature(LANES, types.float64), build


@_instruction
def pick(typing: Any, mask: Any, one: Any, other: Any) -> Any:
    """``one`` where the mask is true, ``other`` elsewhere; both are computed."""
    result = _joined(mask, one, other)
    sides = [side if side is LANES else types.float64 for side in (one, other)]

    def build(_context: Any, builder: Any, _kind: Any, values: Any) -> Any:
        a, b = (_spread(builder, value) if result is LANES else value for value in values[1:])
        return builder.select(values[0], a, b)

    return _signature(result, mask, *sides), build


def _extreme(sign: str, text: str) -> Any:
    def typed(typing: Any, one: Any, other: Any) -> Any:
        result = _joined(one, other)
        sides = [side if side is LANES else types.float64 for side in (one, other)]

        def build(_context: Any, builder: Any, _kind: Any, values: Any) -> Any:
            a, b = (_spread(builder, value) if result is LANES else value for value in values)
            return builder.select(builder.fcmp_ordered(sign, a, b), a, b)

        return _signature(result, *sides), build

    typed.__doc__ = text
    return _instruction(typed)


least = _extreme("<", "The smaller of two, lane by lane.")
most = _extreme(">", "The larger of two, lane by lane.")


@_instruction
def any_of(typing: Any, mask: Any) -> Any:
    """Whether a mask is true in any lane."""

    def build(_context: Any, builder: Any, _kind: Any, values: Any) -> Any:
        bits = builder.bitcast(values[0], ir.IntType(WIDTH))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(WIDTH), 0))

    return _signature(types.boolean, MASK), build


def _of_kind(value: Any) -> tuple[Any, Any, str]:
    """LLVM types of floats and integers as wide as ``value``, and the suffix of their functions."""
    return (_FLOATS, _INTS, "v8f64") if value is LANES else (_F64, _I64, "f64")


@_instruction
def nearest(typing: Any, value: Any) -> Any:
    """The nearest whole number."""
    floats, _, suffix = _of_kind(value)

    def build(_context: Any, builder: Any, _kind: Any, values: Any) -> Any:
        return _call(builder, f"llvm.rint.{suffix}", floats, [values[0]])

    return _signature(value, value), build


@_instruction
def two_to(typing: Any, whole: Any) -> Any:
    """2 to the power of whole numbers from -1022 to 1023."""
    floats, ints, _ = _of_kind(whole)

    def build(_context: Any, builder: Any, _kind: Any, values: Any) -> Any:
        def every(number: int) -> Any:
            return ir.Constant(ints, [number] * WIDTH if ints is _INTS else number)

        shifted = builder.shl(builder.add(builder.fptosi(values[0], ints), every(1023)), every(52))
        return builder.bitcast(shifted, floats)

    return _signature(whole, whole), build


@_instruction
def parts_of(typing: Any, value: Any) -> Any:
    """Mantissa in [1, 2) and exponent of positive normal numbers."""
    floats, ints, _ = _of_kind(value)

    def build(context: Any, builder: Any, kind: Any, values: Any) -> Any:
        def every(number: int) -> Any:
            return ir.Constant(ints, [number] * WIDTH if ints is _INTS else number)

        bits = builder.bitcast(values[0], ints)
        exponent = builder.sub(builder.lshr(bits, every(52)), every(1023))
        mantissa = builder.or_(builder.and_(bits, every((1 << 52) - 1)), every(1023 << 52))
        found = [builder.bitcast(mantissa, floats), builder.sitofp(exponent, floats)]
        return context.make_tuple(builder, kind.return_type, found)

    return _signature(types.UniTuple(value, 2), value), build
