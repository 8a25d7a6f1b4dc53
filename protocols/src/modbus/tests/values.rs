use super::*;
use crate::modbus::profile::{Absent, Register, RegisterType, Scale, Use, WordOrder};
use crate::modbus::value::Decoded;
use metering::Unit;

fn register(kind: RegisterType, order: WordOrder) -> Register {
    Register {
        channel: "pulses_total".to_owned(),
        function: Function::Holding,
        address: 100,
        kind,
        unit: Unit::Count,
        use_: Use::Cumulative,
        order,
        scale: Scale::Power(0),
        absent: Vec::new(),
        range: None,
    }
}

fn decode(register: &Register, words: &[u16]) -> String {
    let word = |at: u16| words.get(usize::from(at - 100)).copied();
    match register.decode(word) {
        Decoded::Value(value) => value.to_string(),
        Decoded::Text(text) => format!("`{text}`"),
        Decoded::Missing => "-".to_owned(),
        Decoded::AccumulatorZero => "0?".to_owned(),
        Decoded::Implausible(value) => format!("{value}!"),
        Decoded::Nonsense => "nonsense".to_owned(),
    }
}

#[test]
fn word_orders_give_the_same_number() {
    for (order, words) in [
        (WordOrder::Big, [0x0001, 0xE240]),
        (WordOrder::Little, [0xE240, 0x0001]),
        (WordOrder::ByteSwapped, [0x0100, 0x40E2]),
        (WordOrder::BothSwapped, [0x40E2, 0x0100]),
    ] {
        assert_eq!(decode(&register(RegisterType::U32, order), &words), "123456", "{order:?}");
    }
    let wide = [0x1122, 0x3344, 0x5566, 0x7788];
    let little = register(RegisterType::U64, WordOrder::Little);
    assert_eq!(decode(&little, &[0x0002, 0x0001, 0, 0]), "65538");
    let all = [RegisterType::I64].map(|kind| register(kind, WordOrder::BothSwapped));
    assert!(decode(&all[0], &wide).starts_with('-'));
}

#[test]
fn widths_signs_and_absent_patterns() {
    use RegisterType as T;
    let check = |kind: T, words: &[u16], want: &str| {
        let mut one = register(kind, WordOrder::Big);
        one.channel = "power_active_total".to_owned();
        one.unit = Unit::Watt;
        assert_eq!(decode(&one, words), want, "{kind:?} {words:04X?}");
    };
    check(T::U16, &[0xFFFF], "65535");
    check(T::I16, &[0xFFFF], "-1");
    check(T::I32, &[0xFFFE, 0xC648], "-80312");
    check(T::I64, &[0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE], "-2");
    check(T::U64, &[0xFFFF, 0, 0, 0], "nonsense");
    check(T::F32, &[0xC448, 0xE000], "-803.5");
    check(T::F32, &[0x7FC0, 0], "-");
    check(T::F32, &[0x7F80, 0], "-");
    check(T::F32, &[0x7F7F, 0xFFFF], "nonsense");
    check(T::F64, &[0x40C8, 0x1CD6, 0xC8B4, 0x3958], "12345.678");
    check(T::Bcd32, &[0x1234, 0x5678], "12345678");
    check(T::Bcd32, &[0x1234, 0x567A], "nonsense");
    check(T::U32, &[1], "-");
    let mut one = register(T::U32, WordOrder::Big);
    one.absent = vec![Absent::AllOnes, Absent::Raw(7)];
    assert_eq!(decode(&one, &[0xFFFF, 0xFFFF]), "-");
    assert_eq!(decode(&one, &[0, 7]), "-");
    assert_eq!(decode(&one, &[0, 8]), "8");
    let mut signed = register(T::I16, WordOrder::Big);
    signed.channel = "temperature".to_owned();
    signed.unit = Unit::Celsius;
    signed.absent = vec![Absent::HighestSigned, Absent::LowestSigned];
    assert_eq!(decode(&signed, &[0x7FFF]), "-");
    assert_eq!(decode(&signed, &[0x8000]), "-");
    assert_eq!(decode(&register(T::Acc32, WordOrder::Big), &[0, 0]), "0?");
    assert_eq!(decode(&register(T::Text(3), WordOrder::Big), &[0x5342, 0x2D37, 0]), "`SB-7`");
    assert_eq!(decode(&register(T::Text(1), WordOrder::Big), &[0x0107]), "nonsense");
}

#[test]
fn scale_factors_come_from_the_profile_or_the_device() {
    let mut one = register(RegisterType::I16, WordOrder::Big);
    one.scale = Scale::Power(-2);
    assert_eq!(decode(&one, &[4998]), "49.98");
    one.scale = Scale::Register(101);
    assert_eq!(decode(&one, &[4998, 0xFFFE]), "49.98");
    assert_eq!(decode(&one, &[4998, 3]), "4998000");
    assert_eq!(decode(&one, &[4998, 0x8000]), "-");
    assert_eq!(decode(&one, &[4998, 11]), "nonsense");
    assert_eq!(decode(&one, &[4998]), "-");
}

#[test]
fn what_cannot_be_is_told_and_not_kept() {
    let mut one = register(RegisterType::F32, WordOrder::Big);
    one.channel = "frequency".to_owned();
    one.unit = Unit::Hertz;
    assert_eq!(decode(&one, &[0x4366, 0x3333]), "230.2!");
    assert_eq!(decode(&one, &[0x4247, 0xEB85]), "49.98");
    one.range = Some(("50".parse().unwrap(), "60.5".parse().unwrap()));
    assert_eq!(decode(&one, &[0x4247, 0xEB85]), "49.98!");
    assert_eq!(decode(&one, &[0x4248, 0]), "50");
}

proptest! {
    /// The digits of a float are those that give it back, so an unchanged register never changes.
    #[test]
    fn floats_give_digits_that_give_them_back(bits in any::<u32>()) {
        let number = f32::from_bits(bits);
        let words = bits.to_be_bytes();
        let word = |at: usize| u16::from_be_bytes([words[at], words[at + 1]]);
        let words = [word(0), word(2)];
        let mut one = register(RegisterType::F32, WordOrder::Big);
        one.channel = "energy_active_net".to_owned();
        one.unit = Unit::WattHour;
        let said = decode(&one, &words);
        if let Ok(back) = said.parse::<f32>() {
            prop_assert_eq!(back.to_bits(), bits);
        } else {
            prop_assert!(!number.is_finite() || number.abs() < 1e-9 || number.abs() > 1e9, "{}", said);
        }
    }

    #[test]
    fn any_registers_decode(
        words in prop::collection::vec(any::<u16>(), 0..8),
        at in 0..11_usize,
        scaled in any::<bool>(),
    ) {
        use RegisterType as T;
        use WordOrder as W;
        let whole = [T::U16, T::I16, T::U32, T::I32, T::U64, T::I64];
        let others = [T::F32, T::F64, T::Bcd32, T::Acc32, T::Text(6)];
        let kinds = [whole.as_slice(), &others].concat();
        for order in [W::Big, W::Little, W::ByteSwapped, W::BothSwapped] {
            let mut one = register(kinds[at], order);
            if scaled {
                one.scale = Scale::Register(104);
            }
            let _ = decode(&one, &words);
        }
    }
}
