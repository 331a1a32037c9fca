// SPDX-License-Identifier: Apache-2.0

/// An expression of a URI template, by what it may stand for in a topic.
///
/// With n variables it stands for nothing, or for a text of the form
///
///     {a}     V
///     {+a}    R
///     {#a}    "#" R
///     {.a}    "." V
///     {/a}    "/" V, then at most n - 1 times "/" V
///     {;a}    ";" N, then at most n - 1 times ";" N
///     {?a}    "?" N, then at most n - 1 times "&" N
///     {&a}    "&" N, then at most n - 1 times "&" N
///
/// where V is any number (0 too) of unreserved characters (RFC 3986 section 2.3), `,` and triplets `%HH`; N is that and
/// `=`; R is that and all reserved characters (RFC 3986 section 2.2). The first four have no further values because
/// their separators are in V and R. If any of the variables is exploded (`{/a*}`), each V is an N, and the values that
/// follow the first are any number.
///
/// Every expansion by RFC 6570 section 3.2 has this form. Others have it too: nothing is known of the values, so the
/// names of variables are not looked at, nor are prefix lengths (`{a:3}`). What an expansion percent-encodes is not in
/// it as it is, such as `/` in a V, or what is not ASCII anywhere.
struct TemplateExpression {
    let op: TemplateOperator
    var variables = 0
    /// Whether any of the variables does.
    var explodes = false

    init(_ op: TemplateOperator) { self.op = op }

    /// Whether bytes of this kind are in values. The separator is, too, where values may be any number.
    func keeps(_ kind: TopicByteKind) -> Bool {
        switch kind {
        case .plain: true
        case .other: false
        case _ where op.allowsReserved: true
        case .equals: op.isNamed || explodes
        case .reserved: false
        case .slash, .semicolon, .ampersand: explodes && kind == TopicByteKind(op.separator)
        }
    }

    /// How many values have to be told apart: 1 where the separator is as good as a part of them.
    var values: Int { keeps(TopicByteKind(op.separator)) ? 1 : variables }
}
