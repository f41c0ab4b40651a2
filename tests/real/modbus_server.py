"""A Modbus TCP server on loopback: holding registers 0..99 and input registers 0..99, device 1. Usage: PORT."""

import sys

from pymodbus.client import ModbusTcpClient
from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.server import StartTcpServer

TYPES = ModbusTcpClient.DATATYPE
convert = ModbusTcpClient.convert_to_registers
holding = [0] * 100
holding[0:1] = convert(215, TYPES.INT16)
holding[2:4] = convert(21.5, TYPES.FLOAT32)
holding[4:6] = convert(123456, TYPES.UINT32, word_order="little")
inputs = [0] * 100
inputs[0:1] = convert(-55, TYPES.INT16)
device = ModbusDeviceContext(
    hr=ModbusSequentialDataBlock(1, holding), ir=ModbusSequentialDataBlock(1, inputs),
)  # fmt: skip
StartTcpServer(ModbusServerContext(devices={1: device}, single=False), address=("127.0.0.1", int(sys.argv[1])))
