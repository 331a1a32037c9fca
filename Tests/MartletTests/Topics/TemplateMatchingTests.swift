// SPDX-License-Identifier: Apache-2.0

import Martlet
import Testing

@Suite struct TemplateMatchingTests {
    @Test(
        "A topic that the template can stand for is selected",
        arguments: [
            // Values may be empty, and whole expressions absent.
            ("a{b}", ["a", "ax", "a-._~09AZaz", "a,", "ax,y", "a%2F", "a%2f%Aa"]),
            ("{b}a", ["a", "aa", "xa"]),
            ("a{b}c", ["ac", "acc", "axc", "abcabc"]),
            ("{a,b}", ["x,y", "x,y,z", ",", "x"]),
            ("{a*}", ["x", "x,y,z", "k=v,l=w", "="]),
            ("{a,b*}", ["x,k=v", "k=v"]),
            ("{a:3}", ["x", "abcdef"]),
            ("a{+b}", ["a", "a/x/y", "a:/?#[]@!$&'()*+,;=", "a%20", "axyz-._~"]),
            ("{+a,b}", ["/x,/y", "/x"]),
            ("{+a*}", ["k=v,l=w"]),
            ("a{#b}", ["a", "a#", "a#x", "a#/x?y=z#w", "a#%20"]),
            ("{#a,b*}", ["#x,y", "#k=v"]),
            ("a{.b}", ["a", "a.", "a.x", "a.x.y", "a..", "a.x,y", "a.%2F"]),
            ("a{.b*}", ["a", "a.x.y.z", "a.k=v.l=w"]),
            ("a{/b}", ["a", "a/", "a/x", "a/x,y", "a/%2F"]),
            ("a{/b,c}", ["a", "a/", "a//", "a/x/y", "a/x", "a//y"]),
            ("a{/b*}", ["a", "a/x/y/z", "a/k=v/l=w", "a////"]),
            ("a{/b,c*}", ["a/x/y/z", "a/x/k=v", "a/k=v"]),
            ("a{/b}{/c}", ["a", "a/x", "a/x/y", "a//"]),
            ("a{;b}", ["a", "a;", "a;b", "a;b=x", "a;c=x", "a;b=x,y", "a;b=x=y", "a;%62=%2F"]),
            ("a{;b,c}", ["a;b;c", "a;c=1;b=2", "a;;"]),
            ("a{;b*}", ["a;b=1;b=2;b=3", "a;k=v;l"]),
            ("a{?b}", ["a", "a?", "a?b=x", "a?c=x", "a?x", "a?b=x,y"]),
            ("a{?b,c}", ["a?b=1&c=2", "a?c=1", "a?&"]),
            ("a{?b*}", ["a?b=1&b=2&c=3", "a?&&&&"]),
            ("a{&b}", ["a", "a&", "a&b=x", "a&c=x"]),
            ("a{&b,c}", ["a&b=1&c=2", "a&&"]),
            ("a{&b*}", ["a&b=1&b=2&c=3"]),
            ("{a}%41{b}", ["%41", "x%41y", "%41%41"]),
            ("\u{E9}{a}", ["\u{E9}", "\u{E9}x"]),
            ("\u{1F426}{a}\u{1F426}", ["\u{1F426}\u{1F426}", "\u{1F426}x\u{1F426}"]),
            ("https://example.com/books/{id}.jsonld", ["https://example.com/books/1.jsonld"]),
            ("{a}{b}{c}{d}", ["x", "%41"]),
            ("{/a}{b}{?c}{#d}x", ["x", "/x", "yx", "?x", "#x", "/y%41?c=1#x"]),
        ])
    func topicThatTheTemplateCan(template: String, topics: [String]) throws {
        for topic in topics { #expect(TopicSelector(template).matches(try Topic(topic)), "\(topic)") }
    }

    @Test(
        "A topic that the template cannot stand for is not selected",
        arguments: [
            // What a value cannot have as it is.
            (
                "a{b}",
                ["", "b", "A", "xa", "a/", "a/x", "a=", "a;", "a?", "a&", "a#", "a:", "a@", "a*", "a b", "a\u{E9}"]
            ),
            ("a{b}", ["a%", "a%4", "a%4g", "a%g4", "a%%41", "ax%4", "a%4/1", "a{", "a}", "a\"", "a|", "a{b} ", "a{b"]),
            ("{b}a", ["a/", "a/a", "b", "=a", "%41"]),
            ("a{b}c", ["a", "c", "abc/", "a/c", "a=c", "acd"]),
            ("{a,b}", ["x=y", "x/y"]),
            ("{a*}", ["x/y", "k=v;l=w", "x&y"]),
            ("a{+b}", ["a b", "a\u{E9}", "a%", "a%2", "a\"", "a<", "a{", "a|", "b/x"]),
            ("{+a}/x", ["x", "/y", "/x/"]),
            ("a{#b}", ["ax", "a/x", "a#%", "a# ", "a#\u{E9}", "b#x"]),
            ("a{.b}", ["ax", "a/x", "a.x/y", "a.x=y", "a.%", "a.\u{E9}"]),
            ("a{.b*}", ["ax", "a.x/y", "a.x;y"]),
            ("a{/b}", ["ax", "a.x", "a//", "a/x/y", "a/x=y", "a/%2", "a/x;y", "a/\u{E9}", "a/x?"]),
            ("a{/b,c}", ["a/x/y/z", "a///", "a/x=y", "ax/y"]),
            ("a{/b*}", ["ax", "a/x?y", "a/x;y/z", "b/x"]),
            ("a{/b}{/c}", ["a/x/y/z", "ax"]),
            ("a{;b}", ["ab=x", "a;b;b", "a;b&c", "a;b=x/y", "a?b=x", "a;b=\u{E9}"]),
            ("a{;b,c}", ["a;b;c;d", "a;;;"]),
            ("a{;b*}", ["a;b=1&b=2", "a;b=1/b", "a;b:"]),
            ("a{?b}", ["ab=x", "a&b=x", "a?b=x&c=y", "a??", "a?b=/", "a?b=x;c", "a?b=x#"]),
            ("a{?b,c}", ["a?b=1&c=2&d=3", "a&b=1&c=2", "a?b?c"]),
            ("a{?b*}", ["a&b=1", "a?b=1;b=2", "a?b=1?b=2"]),
            ("a{&b}", ["a?b=x", "ab", "a&b=x&c=y", "a&b=/"]),
            ("a{&b,c}", ["a&b=1&c=2&d=3", "a&&&"]),
            ("a{&b*}", ["a?b=1&b=2", "a&b/"]),
            // Literals are compared as written, and triplets are whole.
            ("{a}%41{b}", ["A", "%4A1", "%25%4", "x%41%4"]),
            ("{a}41", ["%41"]),
            ("{a}1", ["%41"]),
            ("%4a{b}", ["%4A", "J", "%4A%4a"]),
            ("\u{E9}{a}", ["e\u{301}", "%C3%A9", "\u{E9}\u{301}"]),
            ("orders/{id}", ["orders/", "orders/42"].map { $0 + "/" } + ["Orders/42", "orders", "xorders/42"]),
        ])
    func topicThatTheTemplateCannot(template: String, topics: [String]) throws {
        for topic in topics where !topic.isEmpty {
            #expect(!TopicSelector(template).matches(try Topic(topic)), "\(topic)")
        }
    }
}
