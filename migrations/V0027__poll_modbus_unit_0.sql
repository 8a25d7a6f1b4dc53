-- Devices on Modbus TCP may be unit 0 (the gateway itself); on a bus 0 is the broadcast, which the
-- program refuses by the kind of the address.
ALTER TABLE modbus_unit
  DROP CONSTRAINT modbus_unit_unit_check,
  ADD CONSTRAINT modbus_unit_unit_check CHECK (unit BETWEEN 0 AND 255);
