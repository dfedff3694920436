//! What comes out of trees, and what is said about what does not.

use super::*;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use core::fmt::Debug;
use serde::Deserialize;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct House {
    name: String,
    #[serde(default)]
    floors: u8,
    below: Option<i16>,
    #[serde(default)]
    rooms: Vec<Room>,
    #[serde(default)]
    keys: BTreeMap<Door, bool>,
    size: Option<(u8, i8)>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Door {
    Front,
    Back,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Room {
    Kitchen { oven: bool },
    Cellar {},
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Way {
    Here,
    At(u64),
    Between(u8, u8),
    Over { bridge: String },
}

fn check<T: serde::de::DeserializeOwned + PartialEq + Debug>(json: &str, want: &T) {
    assert_eq!(from_json::<T>(json.as_bytes()).unwrap(), *want, "{json}");
}

fn refused<T: serde::de::DeserializeOwned + Debug>(json: &str, want: &str) {
    let said = from_json::<T>(json.as_bytes()).unwrap_err().to_string();
    assert!(said.contains(want), "{json}: {said}");
}

#[test]
fn structs_come_out_with_all_that_is_in_them() {
    let house = House {
        name: "h".into(),
        floors: 2,
        below: Some(-3),
        rooms: vec![Room::Kitchen { oven: true }, Room::Cellar {}],
        keys: [(Door::Front, true), (Door::Back, false)].into(),
        size: Some((8, -9)),
    };
    let json = r#"{"name":"h","floors":2,"below":-3,"size":[8,-9],"keys":{"front":true,"back":false},
        "rooms":[{"kind":"kitchen","oven":true},{"kind":"cellar"}]}"#;
    check(json, &house);
    let least = |below| House {
        name: "é\n".into(),
        floors: 0,
        below,
        rooms: vec![],
        keys: BTreeMap::new(),
        size: None,
    };
    check("{\"name\":\"\\u00e9\\n\",\"below\":null}", &least(None));
    check("{\"name\":\"é\\n\",\"below\":7}", &least(Some(7)));
}

#[test]
fn variants_come_out_of_words_and_of_tables_of_one_entry() {
    check(r#""here""#, &Way::Here);
    check(r#"{"here":null}"#, &Way::Here);
    check(r#"{"at":18446744073709551615}"#, &Way::At(u64::MAX));
    check(r#"{"between":[1,2]}"#, &Way::Between(1, 2));
    check(r#"{"over":{"bridge":"b"}}"#, &Way::Over { bridge: "b".into() });
    refused::<Way>(r#""at""#, "invalid type: a word");
    refused::<Way>(r#"{"here":3}"#, "invalid type: a number");
    refused::<Way>(r#"{"here":null,"at":3}"#, "a table of one entry");
    refused::<Way>("{}", "a table of one entry");
    refused::<Way>("3", "a word or a table");
    refused::<Way>(r#""there""#, "unknown variant `there`, expected one of");
}

#[test]
fn errors_say_the_way() {
    refused::<House>("{}", "missing field `name`");
    refused::<House>(r#"{"name":"h","name":"i"}"#, "duplicate field `name`");
    refused::<House>(r#"{"name":"h","nane":1}"#, "unknown field `nane`, expected one of");
    refused::<House>(r#"{"name":7}"#, "`name`: invalid type: a number, expected a text");
    refused::<House>(r#"{"name":"h","floors":300}"#, "`floors`: invalid value: integer `300`");
    refused::<House>(r#"{"name":"h","floors":-1}"#, "`floors`: invalid value: integer `-1`");
    refused::<House>(r#"{"name":"h","floors":1.5}"#, "`floors`: invalid type: a fraction");
    refused::<House>(r#"{"name":"h","below":40000}"#, "`below`: invalid value");
    let rooms =
        |inside: &str| format!("{{\"name\":\"h\",\"rooms\":[{{\"kind\":\"cellar\"}},{inside}]}}");
    refused::<House>(&rooms("{}"), "`rooms[1]`: missing field `kind`");
    refused::<House>(&rooms(r#"{"kind":"attic"}"#), "`rooms[1]`: unknown variant `attic`");
    refused::<House>(&rooms(r#"{"kitchen":{"oven":true}}"#), "missing field `kind`");
    let warm = rooms(r#"{"kind":"kitchen","oven":"warm"}"#);
    refused::<House>(&warm, "`rooms[1].oven`: invalid type: a text, expected a boolean");
    refused::<House>(&rooms(r#"{"kind":"cellar","oven":true}"#), "unknown field `oven`");
    refused::<House>(r#"{"name":"h","keys":{"side":true}}"#, "`keys`: unknown variant `side`");
    refused::<House>(r#"{"name":"h","keys":{"back":1}}"#, "`keys.back`: invalid type");
    refused::<House>(r#"{"name":"h","size":[1]}"#, "`size`: invalid length 1");
    refused::<House>(r#"{"name":"h","size":[1,2,3]}"#, "`size`: invalid length 3");
    refused::<House>(r#"{"name":"h""#, "line 1 column 11");
    refused::<House>(&"[".repeat(200), "recursion limit");
}

#[test]
fn a_tree_can_be_made_again_of_a_tree() {
    let json = br#"{"a":[null,true,1,-1,"t",{"b":{}},1.5]}"#;
    let mut tree = Tree::from_json(json).unwrap();
    assert!(tree.clone().read::<Tree>().is_err(), "no document has a fraction");
    let Node::Table(entries) = &mut tree.node else { panic!("no table") };
    let Node::List(items) = &mut entries[0].1.node else { panic!("no list") };
    assert_eq!(items.pop().unwrap().node, Node::Other("a fraction"));
    assert_eq!(tree.clone().read::<Tree>().unwrap(), tree);
    assert!(matches!(tree.get("a").unwrap().node, Node::List(_)));
    assert!(tree.get("b").is_none() && tree.get("a").unwrap().get("b").is_none());
}

#[test]
fn an_error_stands_where_the_value_stands() {
    let tree = |node, at| Tree { node, at: Some(at) };
    let table = |value| {
        let key = tree(Node::Text("name".into()), 4);
        tree(Node::Table(vec![(key, tree(value, 11))]), 0)
    };
    assert_eq!(table(Node::Bool(true)).read::<House>().unwrap_err().at(), Some(11));
    let unknown = Node::Table(vec![(tree(Node::Text("x".into()), 4), tree(Node::Null, 8))]);
    assert_eq!(tree(unknown, 0).read::<House>().unwrap_err().at(), Some(4));
}
