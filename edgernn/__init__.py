"""Recurrent networks on small devices in real time.

Train in Keras with masking, quantize to one int8 step, and run that step, byte
for byte, on a desktop, a Raspberry Pi and a microcontroller.  This package's
top level imports numpy and nothing heavier; TensorFlow lives in `edgernn.train`.
"""

__version__ = "0.1.0"
