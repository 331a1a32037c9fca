// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// `application/x-www-form-urlencoded`, in which a form is posted and a query asked.
enum FormEncoding {
    /// Only `unreserved` of RFC 3986 stands as it is, so the text is right in a URL as well.
    static func text(_ fields: [(name: String, value: String)]) -> String {
        fields.map { "\($0.name.percentEncoded)=\($0.value.percentEncoded)" }.joined(separator: "&")
    }
}
