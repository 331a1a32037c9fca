// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `martlet token`: makes tokens, and says what is in them.
struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Make a token for a hub, or say what one grants.",
        discussion:
            "Without a subcommand a token is made: martlet token --key-file secret.txt --subscribe 'orders/{id}'",
        subcommands: [MakeTokenCommand.self, InspectTokenCommand.self],
        defaultSubcommand: MakeTokenCommand.self
    )
}
