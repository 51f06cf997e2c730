use chancery_crypto::SigningKey;
use chancery_delegation::http_signature::ReceivedSignature;
use serde_json::{Value, json};
use sfv::{BareItem, FieldType as _, Item};

use crate::mutation::Dice;
use crate::requests::{body, fields, request};

/// A request with some characters of one field changed, at random; half of those that can still be
/// read are signed again, so that what stands behind the signature is judged as well.
pub(crate) fn mutated(dice: &mut Dice, holder: &SigningKey, accepted: &[Value]) -> Value {
    let mut vector = dice.pick(accepted).clone();
    let fields = vector["request"]["fields"].as_array_mut().unwrap();
    let at = dice.below(fields.len());
    let mut value = fields[at][1].as_str().unwrap().to_owned();
    for _ in 0..=dice.below(3) {
        change(dice, &mut value);
    }
    fields[at][1] = json!(value);
    if dice.below(2) == 0
        && let Some(signature) = signed_again(holder, &vector["request"])
    {
        let fields = vector["request"]["fields"].as_array_mut().unwrap();
        let mut fields = fields.iter_mut();
        let field =
            fields.find(|field| field[0].as_str().unwrap().eq_ignore_ascii_case("signature"));
        field.unwrap()[1] = json!(signature);
    }
    vector
}

fn change(dice: &mut Dice, value: &mut String) {
    const CHARACTERS: &[u8] = b"Aaz09-_=.+/ \t,;:?@\"()*%'\\";
    let mut bytes = value.clone().into_bytes();
    // Most of the long fields is base64, where one change is like another.
    let reach = if dice.below(3) == 0 {
        bytes.len()
    } else {
        bytes.len().min(200)
    };
    let at = dice.below(reach);
    match dice.below(4) {
        0 if !bytes.is_empty() => {
            bytes.remove(at);
        }
        1 if at + 1 < bytes.len() => bytes.swap(at, at + 1),
        2 if !bytes.is_empty() => bytes[at] = *dice.pick(CHARACTERS),
        _ => bytes.insert(at, *dice.pick(CHARACTERS)),
    }
    *value = String::from_utf8(bytes).unwrap();
}

/// What the holder would write in `Signature`, where the rest can be read.
fn signed_again(holder: &SigningKey, given: &Value) -> Option<String> {
    let (fields, body) = (fields(given), body(given));
    let request = request(given, &fields, &body);
    let received = ReceivedSignature::parse(&request).ok()?;
    let signature = holder.sign(received.base(&request).ok()?.as_bytes()).ok()?;
    let mut fields = fields.iter();
    let (_, input) = fields.find(|(name, _)| name.eq_ignore_ascii_case("signature-input"))?;
    let (label, _) = input.trim().split_once('=')?;
    let bytes = Item::new(BareItem::ByteSequence(signature)).serialize();
    Some(format!("{label}={bytes}"))
}
